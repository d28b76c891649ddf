// An application on openid-client (certified by the OpenID Foundation) and jose: logs people in by private_key_jwt, hears logout messages.
// usage: node openid_client.mjs '{"issuer": …, "origin": …, "port": …, "client": …, "key": JWK}'

import { createServer } from "node:http";
import { webcrypto } from "node:crypto";
import { createRemoteJWKSet, jwtVerify } from "jose";
import * as openid from "openid-client";

globalThis.crypto ??= webcrypto; // Node 18
const { issuer, origin, port, client, key } = JSON.parse(process.argv[2]);
const { kid, ...bare } = key;
const signing = await crypto.subtle.importKey("jwk", bare, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
const found = await openid.discovery(new URL(issuer), client, {}, openid.PrivateKeyJwt({ key: signing, kid }), {
  execute: [openid.allowInsecureRequests, openid.enableNonRepudiationChecks], // the ID token's signature too
});
const published = createRemoteJWKSet(new URL(found.serverMetadata().jwks_uri));
const waiting = new Map(); // by state
let person = null; // one browser is enough here

async function start(query) {
  const verifier = openid.randomPKCECodeVerifier();
  const [state, nonce] = [openid.randomState(), openid.randomNonce()];
  waiting.set(state, { verifier, nonce, max: query.get("max_age") });
  const address = openid.buildAuthorizationUrl(found, {
    redirect_uri: `${origin}/callback`,
    scope: "openid profile calock",
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    acr_values: "urn:calock:acr:lock",
    ...(query.get("max_age") ? { max_age: query.get("max_age") } : {}),
  });
  return [302, "", { Location: address.href }];
}

async function callback(address) {
  const state = address.searchParams.get("state");
  const { verifier, nonce, max } = waiting.get(state);
  waiting.delete(state);
  const tokens = await openid.authorizationCodeGrant(found, address, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
    ...(max ? { maxAge: Number(max) } : {}),
  });
  const claims = tokens.claims();
  const about = await openid.fetchUserInfo(found, tokens.access_token, claims.sub);
  person = { claims, about, idToken: tokens.id_token };
  return [302, "", { Location: `${origin}/` }];
}

async function ended(request) {
  let text = "";
  for await (const part of request) text += part;
  const { payload } = await jwtVerify(new URLSearchParams(text).get("logout_token"), published, {
    issuer,
    audience: client,
    typ: "logout+jwt",
  });
  if (payload.sid === person?.claims.sid) person = null;
  return [200, ""];
}

function leave() {
  const hint = person.idToken;
  person = null;
  const address = openid.buildEndSessionUrl(found, { id_token_hint: hint, post_logout_redirect_uri: `${origin}/left` });
  return [302, "", { Location: address.href }];
}

async function answer(request) {
  const address = new URL(request.url, origin);
  if (address.pathname === "/login") return await start(address.searchParams);
  if (address.pathname === "/callback") return await callback(address);
  if (address.pathname === "/ended") return await ended(request);
  if (address.pathname === "/logout") return leave();
  return [200, JSON.stringify(person)];
}

createServer((request, response) => {
  answer(request)
    .catch((error) => [500, `${error.stack}\n${JSON.stringify(error.cause ?? null)}`])
    .then(([status, text, headers]) => response.writeHead(status, { "Content-Type": "text/plain", ...headers }).end(text));
}).listen(port, "127.0.0.1");

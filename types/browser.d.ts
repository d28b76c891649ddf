/** Where the library's own description of a browser says too much or too little. */

interface JSON {
  /** Outside text: the receiver says what it must be. */
  parse(text: string): unknown;
}

interface Body {
  json(): Promise<unknown>;
}

interface Permissions {
  /** Local Network Access, under its two names. */
  query(descriptor: { name: "loopback-network" | "local-network-access" }): Promise<PermissionStatus>;
}

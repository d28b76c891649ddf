// All of ESLint's rules and the strictest of typescript-eslint's, which know types; a reason beside each that is off or softened.

import eslint from "@eslint/js";
import { defineConfig } from "eslint/config";
import globals from "globals";
import typescript from "typescript-eslint";

/** @type {import("eslint").Linter.RulesRecord} */
const offOrSoftened = {
  "camelcase": ["error", { properties: "never" }], // SOF_… are names of GM/T 0020
  "capitalized-comments": "off", // a comment may go on where the code stops
  "consistent-return": "off", // tsc's noImplicitReturns knows which functions return a value
  "curly": ["error", "multi-line"], // `if (…) return;` reads better in one line
  "func-style": ["error", "declaration", { allowArrowFunctions: true }], // short ones, and those that need what is around them
  "id-length": "off", // a name's length says nothing
  "init-declarations": "off", // tsc finds what is read before it has a value
  "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }], // types are comments here
  "max-lines-per-function": ["error", { max: 50, skipBlankLines: true, skipComments: true }], // as in Python
  "max-params": ["error", 4], // a bundle object would hide them
  "max-statements": "off", // max-lines-per-function counts what matters
  "no-await-in-loop": "off", // what is awaited in a loop here must come one after the other
  "no-continue": "off", // saves a level of braces
  "no-inline-comments": "off", // a reason stands beside what it is for
  "no-magic-numbers": "off", // numbers of file formats and milliseconds are clearer beside their comment
  "no-negated-condition": "off", // the usual case comes first
  "no-ternary": "off", // they are short; nested ones are refused
  "no-undef": "off", // tsc knows what there is
  "no-undefined": "off", // "not known" differs from null, "known to be nothing"
  "no-use-before-define": ["error", { functions: false, classes: false, variables: false }], // what is exported may stand first
  "no-void": "off", // marks a promise that nobody waits for, as no-floating-promises wants it
  "one-var": ["error", "never"], // all of one scope in one declaration, as the rule wants it, cannot have comments of their own
  "prefer-named-capture-group": "off", // groups are used where they stand
  "require-unicode-regexp": "off", // what is matched is ASCII
  "sort-imports": ["error", { ignoreDeclarationSort: true, ignoreCase: true }], // by file, as people look for them
  "sort-keys": "off", // order means something: of steps, of columns
  "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true, ignoreVoidOperator: true }], // listeners
  "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }], // they are written one way only
};

/** Markup out of text is how foreign script comes into a page. */
const noMarkup = ["innerHTML", "outerHTML", "insertAdjacentHTML", "setHTMLUnsafe", "write", "writeln"].map((property) => ({
  property,
  message: "Make elements, or replaceChildren with parsed nodes of our own server.",
}));

export default defineConfig(
  { ignores: ["tests/server/relying_parties/", ".venv/", ".venv-newest/", ".calock/", "build/", "dist/"] },
  { files: ["**/*.js"], extends: [eslint.configs.all, typescript.configs.strictTypeChecked, typescript.configs.stylisticTypeChecked] },
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: { globals: globals.browser, parserOptions: { projectService: { allowDefaultProject: ["eslint.config.js"] } } },
    rules: { ...offOrSoftened, "no-restricted-properties": ["error", ...noMarkup] },
  },
  {
    files: ["src/calock/server/console/static/console/console.js"],
    rules: { "no-alert": "off" }, // the browser's own question needs no dialog of ours
  },
  {
    files: ["src/calock/agent/compat/sof.js"],
    rules: {
      "max-classes-per-file": "off", // pages copy it as one file
      "no-bitwise": "off", // DER is bits
    },
  },
);

// What a PIN brings along when it is pasted out of a message: blanks around it, full-width digits, invisible characters.

const UNSEEN = /[\u00ad\u200b-\u200f\u2060\ufeff]/gu;

/**
 * Whether the driver would ask before it tries such a PIN (`PIN_CHARACTERS`).
 *
 * @param {string} pin
 */
export function hasOddCharacters(pin) {
  return !/^[!-~](?:[ -~]*[!-~])?$/.test(pin);
}

/**
 * The PIN that was probably meant.
 *
 * @param {string} pin
 */
export function withoutOddCharacters(pin) {
  return pin.replace(UNSEEN, "").normalize("NFKC").trim();
}

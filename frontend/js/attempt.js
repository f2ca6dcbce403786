/**
 * One filling-in of the form and its idempotency key.
 *
 * An applicant sent again carries the same key, so that it is decided once: after a failure, by
 * Enter pressed twice, by the button pressed when the answer is there. A form touched since is a
 * new filling-in, even where it reads the same.
 */

export class Attempts {
  #open = null;

  constructor(newKey = randomKey) {
    this.newKey = newKey;
  }

  /** The key to send this body under. */
  keyFor(body) {
    if (this.#open?.body !== body) this.#open = { body, key: this.newKey() };
    return this.#open.key;
  }

  /** The form was touched: what is sent next is another submission. */
  renew() {
    this.#open = null;
  }
}

/** A random UUID; `randomUUID` is absent where the page is served without TLS. */
export function randomKey(source = globalThis.crypto) {
  return source.randomUUID?.() ?? uuidFrom(source.getRandomValues(new Uint8Array(16)));
}

// RFC 9562, section 5.4: version 4 in the seventh octet, the variant in the ninth.
function uuidFrom(octets) {
  octets[6] = (octets[6] & 0x0f) | 0x40;
  octets[8] = (octets[8] & 0x3f) | 0x80;
  const hex = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

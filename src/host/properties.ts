/**
 * The value of an attribute, by the type that Envoy gives it: text and bytes are passed raw, a bigint as int64 in
 * eight bytes, a boolean as one byte, a list and an object as pairs.
 */
export type PropertyValue = string | Uint8Array | bigint | boolean | PropertyList | PropertyMap;

export interface PropertyList extends ReadonlyArray<PropertyValue> {}

export interface PropertyMap {
  readonly [name: string]: PropertyValue;
}

/**
 * An attribute value as `proxy_get_property` returns it (Envoy 1.37.0 to 1.40.0, `serializeValue`). The elements of a list are the names of
 * pairs without a value.
 */
export function encodeProperty(value: PropertyValue): Uint8Array {
  if (typeof value === "string") return Buffer.from(value, "utf8");
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (value instanceof Uint8Array) return value;
  if (isList(value)) return encodePairs(value.map((element) => [encodeProperty(element), new Uint8Array()]));
  if (typeof value === "object") {
    return encodePairs(
      Object.entries(value).map(([name, member]) => [Buffer.from(name, "utf8"), encodeProperty(member)]),
    );
  }
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}

/** What stands under a segment of a path: an element of a list, a member of an object; nothing in any other value. */
export function memberOf(value: PropertyValue | undefined, segment: string): PropertyValue | undefined {
  if (value === undefined || typeof value !== "object" || value instanceof Uint8Array) return undefined;
  if (!isList(value)) return Object.hasOwn(value, segment) ? value[segment] : undefined;
  return /^\d+$/.test(segment) ? value[Number(segment)] : undefined;
}

function isList(value: PropertyValue): value is PropertyList {
  return Array.isArray(value);
}

/** Count, sizes, texts with NUL behind each (Proxy-Wasm ABI 0.2.1, "serialized map"). */
function encodePairs(pairs: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array {
  const sizes = Buffer.alloc(4 + pairs.length * 8);
  sizes.writeUInt32LE(pairs.length, 0);
  for (const [index, [name, value]] of pairs.entries()) {
    sizes.writeUInt32LE(name.length, 4 + index * 8);
    sizes.writeUInt32LE(value.length, 8 + index * 8);
  }
  const end = Buffer.alloc(1);
  return Buffer.concat([sizes, ...pairs.flatMap(([name, value]) => [name, end, value, end])]);
}

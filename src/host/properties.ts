/**
 * The value of an attribute, by the type that Envoy gives it: text and bytes are passed raw, a bigint as int64 in
 * eight bytes, a boolean as one byte.
 */
export type PropertyValue = string | Uint8Array | bigint | boolean;

/** An attribute value as `proxy_get_property` returns it (Envoy 1.40.0, `serializeValue`). */
export function encodeProperty(value: PropertyValue): Uint8Array {
  if (typeof value === "string") return Buffer.from(value, "utf8");
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (typeof value !== "bigint") return value;
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}

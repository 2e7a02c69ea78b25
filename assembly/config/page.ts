// `approval.page`: what stands in front of an approval's id in the link that people get.

import { equalsLiteral, literalBytes, startsWithLiteral } from "../memory/bytes";

/**
 * Whether a text is such a link: https, a host in lower case, perhaps a port, and a path that ends with a slash. The guard appends an id and
 * writes the link into JSON, so there is nothing in it that would be escaped, nothing behind the path, and no user name that could be taken for
 * the host. Without TLS it may only lead to the same machine.
 */
export function isPage(address: usize, bytes: u32): bool {
  const isSecure = startsWithLiteral(address, bytes, "https://");
  if (!isSecure && !startsWithLiteral(address, bytes, "http://")) return false;
  const host = literalBytes(isSecure ? "https://" : "http://");
  let slash = host;
  while (slash < bytes && u32(load<u8>(address + slash)) != 0x2f) slash++; // SAFETY: slash < bytes.
  const port = host + hostBytes(address + host, slash - host);
  if (port == host || !isPort(address + port, slash - port)) return false;
  if (!isSecure && !isLoopback(address + host, port - host)) return false;
  // SAFETY: slash < bytes, so that bytes is not 0.
  if (slash == bytes || u32(load<u8>(address + bytes - 1)) != 0x2f) return false;
  return bytes - slash == 1 || areSegments(address + slash, bytes - slash - 1);
}

/** Whether a path has segments of unreserved characters (RFC 3986 section 2.3), each behind a slash, none of them empty or of dots. */
export function areSegments(address: usize, bytes: u32): bool {
  let segment: u32 = 0;
  for (let i: u32 = 0; i <= bytes; i++) {
    const byte = i == bytes ? 0x2f : u32(load<u8>(address + i)); // SAFETY: i < bytes.
    if (byte == 0x2f) {
      if (i != 0 && isDots(address + segment, i - segment)) return false;
      segment = i + 1;
    } else if (i == 0 || !isUnreserved(byte)) {
      return false;
    }
  }
  return bytes != 0;
}

/** Bytes of a name or an IPv4 address in lower case at the beginning of a range. */
function hostBytes(address: usize, bytes: u32): u32 {
  let i: u32 = 0;
  for (; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes.
    if (byte - 0x61 >= 26 && byte - 0x30 >= 10 && byte != 0x2d && byte != 0x2e) break;
  }
  return i;
}

/** Nothing, or a colon and 1 to 5 digits. */
function isPort(address: usize, bytes: u32): bool {
  if (bytes == 0) return true;
  // SAFETY: bytes is not 0.
  if (bytes < 2 || bytes > 6 || u32(load<u8>(address)) != 0x3a) return false;
  for (let i: u32 = 1; i < bytes; i++) {
    if (u32(load<u8>(address + i)) - 0x30 >= 10) return false; // SAFETY: i < bytes.
  }
  return true;
}

function isLoopback(address: usize, bytes: u32): bool {
  return equalsLiteral(address, bytes, "localhost") || equalsLiteral(address, bytes, "127.0.0.1");
}

function isUnreserved(byte: u32): bool {
  if ((byte | 0x20) - 0x61 < 26 || byte - 0x30 < 10) return true;
  return byte == 0x2d || byte == 0x2e || byte == 0x5f || byte == 0x7e;
}

/** Nothing, `.` or `..`. */
function isDots(address: usize, bytes: u32): bool {
  if (bytes > 2) return false;
  for (let i: u32 = 0; i < bytes; i++) {
    if (u32(load<u8>(address + i)) != 0x2e) return false; // SAFETY: i < bytes.
  }
  return true;
}

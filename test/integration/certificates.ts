// Certificates that the tests make: an authority, a server that proves to be this machine, clients that prove to be a workload.
// @peculiar/x509 refuses to load without this one.
import "reflect-metadata";
import { randomUUID, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Valid since a little while: a container's clock may be behind. */
const SINCE_MS = 5 * 60 * 1000;

/** A certificate with its private key, both PEM. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Who issues certificates, all of them valid for a day. Two authorities do not know each other. */
export interface Authority {
  /** Its own certificate, PEM: what the other side has to trust. */
  readonly certificate: string;
  /** For a server under the names `localhost` and 127.0.0.1. */
  server(): Promise<KeyedCertificate>;
  /** For a client with these URIs, such as `spiffe://cluster.local/ns/gateway/sa/ai-gateway`, as subject alternative names, in order. */
  client(...uris: readonly string[]): Promise<KeyedCertificate>;
  /**
   * For a workload of a mesh, as Istio's authority issues it: good for either side of a connection, by nothing but its SPIFFE id.
   * @param principal the id without `spiffe://`, as an AuthorizationPolicy writes it.
   */
  workload(principal: string): Promise<KeyedCertificate>;
}

export async function createAuthority(): Promise<Authority> {
  // A name of its own: between two of one name only a signature tells, and that is another error.
  const name = `CN=Authority ${randomUUID()}`;
  const keys = await generateKeys();
  const own = await X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(),
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  });

  const issue = async (subject: string, extensions: Extension[]): Promise<KeyedCertificate> => {
    const { publicKey, privateKey } = await generateKeys();
    const certificate = await X509CertificateGenerator.create({
      subject,
      issuer: name,
      publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      ...validity(),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        ...extensions,
      ],
    });
    return { certificate: certificate.toString("pem"), key: await privatePem(privateKey) };
  };
  return {
    certificate: own.toString("pem"),
    server: () =>
      issue("CN=Server of a test", [
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension([
          { type: "dns", value: "localhost" },
          { type: "ip", value: "127.0.0.1" },
        ]),
      ]),
    client: (...uris) =>
      issue("CN=Client of a test", [
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
        ...(uris.length === 0
          ? []
          : [new SubjectAlternativeNameExtension(uris.map((value) => ({ type: "url", value })))]),
      ]),
    workload: (principal) =>
      issue("", [
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        // Without a subject the alternative name is critical (RFC 5280 section 4.2.1.6).
        new SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${principal}` }], true),
      ]),
  };
}

function generateKeys() {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function validity(): { notBefore: Date; notAfter: Date } {
  const notBefore = new Date(Date.now() - SINCE_MS);
  return { notBefore, notAfter: new Date(notBefore.getTime() + DAY_MS) };
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}

// Certificates as Istio's own authority issues them: each is a workload's, by its SPIFFE id alone, and good for either side of a
// connection.
// @peculiar/x509 refuses to load without this one.
import "reflect-metadata";
import { randomUUID, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { KeyedCertificate } from "../../integration/certificates.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks of a machine and its containers may differ a little. */
const SINCE_MS = 60_000;

/** The authority of a mesh. Two of them do not know each other. */
export interface WorkloadAuthority {
  /** Its own certificate, PEM. */
  readonly certificate: string;
  /** The certificate of a workload, by a SPIFFE id without `spiffe://`, as an AuthorizationPolicy writes it. */
  workload(principal: string): Promise<KeyedCertificate>;
}

export async function createWorkloadAuthority(): Promise<WorkloadAuthority> {
  const name = `CN=Mesh ${randomUUID()}`;
  const keys = await generateKeys();
  const own = await X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(),
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  });
  return {
    certificate: own.toString("pem"),
    async workload(principal) {
      const { publicKey, privateKey } = await generateKeys();
      const certificate = await X509CertificateGenerator.create({
        subject: "",
        issuer: name,
        publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        ...validity(),
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
          // Without a subject the alternative name is critical (RFC 5280 section 4.2.1.6).
          new SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${principal}` }], true),
        ],
      });
      const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", privateKey)).toString("base64");
      const key = ["-----BEGIN PRIVATE KEY-----", ...(bytes.match(/.{1,64}/g) ?? []), "-----END PRIVATE KEY-----", ""];
      return { certificate: certificate.toString("pem"), key: key.join("\n") };
    },
  };
}

function generateKeys() {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function validity(): { notBefore: Date; notAfter: Date } {
  const notBefore = new Date(Date.now() - SINCE_MS);
  return { notBefore, notAfter: new Date(notBefore.getTime() + DAY_MS) };
}

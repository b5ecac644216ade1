/** Makes a CA and the API server's certificate. */
import 'reflect-metadata';

import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const validYears = 10;

const pemOfKey = async (key: webcrypto.CryptoKey): Promise<string> => {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
};

const validity = (): { notBefore: Date; notAfter: Date } => {
  const now = Date.now();
  return { notBefore: new Date(now - 86_400_000), notAfter: new Date(now + validYears * 365 * 86_400_000) };
};

const serial = (): string =>
  Buffer.from(webcrypto.getRandomValues(new Uint8Array(8)))
    .toString('hex')
    .replace(/^[89a-f]/, '1');

const generateKeys = async (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

const makeCa = async (): Promise<{ certificate: x509.X509Certificate; keys: webcrypto.CryptoKeyPair }> => {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=kruntimes-ca',
    ...validity(),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return { certificate, keys };
};

const makeServer = async (
  issuer: x509.X509Certificate,
  signingKey: webcrypto.CryptoKey,
): Promise<{ certificate: x509.X509Certificate; keys: webcrypto.CryptoKeyPair }> => {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: 'CN=kruntimes-apiserver',
    issuer: issuer.subject,
    ...validity(),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'dns', value: 'kubernetes.default.svc' },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
    ],
  });
  return { certificate, keys };
};

/** A new CA and a certificate of it for the loopback names, with their keys; all PEM. */
export const makeCertificates = async (): Promise<
  Readonly<{ caPem: string; caKeyPem: string; certPem: string; keyPem: string }>
> => {
  x509.cryptoProvider.set(webcrypto);
  const ca = await makeCa();
  const server = await makeServer(ca.certificate, ca.keys.privateKey);
  return {
    caPem: `${ca.certificate.toString('pem')}\n`,
    caKeyPem: await pemOfKey(ca.keys.privateKey),
    certPem: `${server.certificate.toString('pem')}\n`,
    keyPem: await pemOfKey(server.keys.privateKey),
  };
};

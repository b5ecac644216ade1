/**
 * Certificates of the sessions: a CA, what it issues, and how a new CA takes an old one's place.
 *
 * A pod is told the CA when it is made and never again. So a new CA is vouched for by the one before it: its
 * certificate exists twice, signed by itself for new pods and by its predecessor for old ones, and the server shows
 * the second beside its own. Pods of either age trust the same server at every moment.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';

import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
const CA_DAYS = 3650;
const LEAF_DAYS = 90;

/** PEM texts of a certificate and its key. */
export type KeyPair = Readonly<{ certificate: string; privateKey: string }>;

/** A CA, and its certificate as its predecessor signed it; '' for the first one. */
export type Authority = KeyPair & Readonly<{ vouched: string }>;

/** What the session server shows, and what pods are told to trust: PEM texts. */
export type SessionTls = KeyPair & Readonly<{ ca: string }>;

x509.cryptoProvider.set(webcrypto);

const exportKey = async (key: webcrypto.CryptoKey): Promise<string> =>
  x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');

const serial = (): string =>
  Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
    .toString('hex')
    .replace(/^./, '1');

const validity = (days: number) => ({
  // A day ago: a clock that is set back, or another machine's that is behind, is not to refuse it.
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + days * DAY_MS),
});

const signingKeyOf = ({ privateKey }: KeyPair): Promise<webcrypto.CryptoKey> => {
  const [pem] = x509.PemConverter.decode(privateKey);
  return webcrypto.subtle.importKey('pkcs8', pem ?? new ArrayBuffer(0), ALGORITHM, false, ['sign']);
};

/** When two thirds of a certificate's time are over, epoch milliseconds: time to have another. */
export const renewalMs = (certificate: string): number => {
  const { notBefore, notAfter } = new x509.X509Certificate(certificate);
  return notBefore.getTime() + ((notAfter.getTime() - notBefore.getTime()) * 2) / 3;
};

/** A new CA; with `before`, one that those who trust the old one trust, too. */
export const createAuthority = async (before?: KeyPair): Promise<Authority> => {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  // Names differ, because a chain is built by them.
  const name = `CN=kruntimes-sessions-ca-${serial().slice(0, 8)}`;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name,
    ...validity(CA_DAYS),
    signingAlgorithm: ALGORITHM,
    keys: keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    certificate: certificate.toString('pem'),
    privateKey: await exportKey(keys.privateKey),
    vouched: before === undefined ? '' : await vouch(before, certificate),
  };
};

/** A new CA's certificate, signed by the old one; it is good for as long as that is. */
const vouch = async (before: KeyPair, after: x509.X509Certificate): Promise<string> => {
  const old = new x509.X509Certificate(before.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: after.subject,
    issuer: old.subject,
    notBefore: after.notBefore,
    notAfter: old.notAfter,
    signingAlgorithm: ALGORITHM,
    publicKey: after.publicKey,
    signingKey: await signingKeyOf(before),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return certificate.toString('pem');
};

/** A server certificate for these host names and IP addresses, with what vouches for its CA. */
export const issueCertificate = async (
  authority: KeyPair & Partial<Authority>,
  hosts: ReadonlyArray<string>,
): Promise<KeyPair> => {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: 'CN=kruntimes-sessions',
    issuer: new x509.X509Certificate(authority.certificate).subject,
    ...validity(LEAF_DAYS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await signingKeyOf(authority),
    extensions: [
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value })),
      ),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth], false),
    ],
  });
  return {
    certificate: [certificate.toString('pem'), authority.vouched ?? ''].filter(Boolean).join('\n'),
    privateKey: await exportKey(keys.privateKey),
  };
};

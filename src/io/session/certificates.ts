/**
 * The session server's TLS: a CA kept in a Secret, so that every operator that ever leads is trusted by pods that were
 * told the CA once, and a certificate issued from it in memory at each start.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as x509 from '@peculiar/x509';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { firstValueFrom } from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import { secrets } from '../../model/resources.js';
import type { KubePort, ObjectRef } from '../../ports.js';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;

/** PEM texts of a certificate and its key. */
export type KeyPair = Readonly<{ certificate: string; privateKey: string }>;

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
  notBefore: new Date(Date.now() - 5 * 60_000),
  notAfter: new Date(Date.now() + days * DAY_MS),
});

/** A new CA. */
export const createAuthority = async (): Promise<KeyPair> => {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=kruntimes-sessions-ca',
    ...validity(CA_DAYS),
    signingAlgorithm: ALGORITHM,
    keys: keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return { certificate: certificate.toString('pem'), privateKey: await exportKey(keys.privateKey) };
};

/** A server certificate for these host names and IP addresses. */
export const issueCertificate = async (
  authority: KeyPair,
  hosts: ReadonlyArray<string>,
): Promise<KeyPair> => {
  const [pem] = x509.PemConverter.decode(authority.privateKey);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pem ?? new ArrayBuffer(0), ALGORITHM, false, [
    'sign',
  ]);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: 'CN=kruntimes-sessions',
    issuer: new x509.X509Certificate(authority.certificate).subject,
    ...validity(LEAF_DAYS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: signingKey,
    extensions: [
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value })),
      ),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth], false),
    ],
  });
  return { certificate: certificate.toString('pem'), privateKey: await exportKey(keys.privateKey) };
};

const AuthoritySecret = t.type({ data: t.type({ 'tls.crt': t.string, 'tls.key': t.string }) });

const readAuthority = (body: unknown): E.Either<EffectError, KeyPair> => {
  const secret = AuthoritySecret.decode(body);
  if (E.isLeft(secret))
    return E.left({
      kind: 'Invalid',
      message: 'the Secret with the session CA lacks tls.crt or tls.key; delete it to have it made anew',
    });
  const text = (value: string): string => Buffer.from(value, 'base64').toString();
  return E.right({
    certificate: text(secret.right.data['tls.crt']),
    privateKey: text(secret.right.data['tls.key']),
  });
};

/** The CA in the Secret, made on first use. Operators that start together agree: the create that loses reads the other's. */
export const ensureAuthority = async (
  kube: KubePort,
  ref: ObjectRef,
): Promise<E.Either<EffectError, KeyPair>> => {
  const known = await firstValueFrom(kube.get(secrets, ref));
  if (E.isRight(known)) return readAuthority(known.right);
  if (known.left.kind !== 'NotFound') return known;
  const authority = await createAuthority();
  const created = await firstValueFrom(
    kube.create(secrets, ref.namespace, {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: ref.name, labels: { 'app.kubernetes.io/name': 'kruntimes' } },
      stringData: { 'tls.crt': authority.certificate, 'tls.key': authority.privateKey },
    }),
  );
  if (E.isRight(created)) return E.right(authority);
  return created.left.kind === 'AlreadyExists' ? ensureAuthority(kube, ref) : created;
};

/** The certificate that somebody else keeps in a folder, as cert-manager's Secrets are mounted. */
export const readSessionTls = async (folder: string): Promise<E.Either<EffectError, SessionTls>> => {
  try {
    const [certificate, privateKey, ca] = await Promise.all(
      ['tls.crt', 'tls.key', 'ca.crt'].map((file) => readFile(join(folder, file), 'utf8')),
    );
    return E.right({ certificate: certificate ?? '', privateKey: privateKey ?? '', ca: ca ?? '' });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return E.left({ kind: 'Invalid', message: `the certificate of the sessions cannot be read: ${why}` });
  }
};

/** A certificate for this host, issued by the CA in the Secret. */
export const issueSessionTls = async (
  kube: KubePort,
  ref: ObjectRef,
  host: string,
): Promise<E.Either<EffectError, SessionTls>> => {
  const authority = await ensureAuthority(kube, ref);
  if (E.isLeft(authority)) return authority;
  const hosts = [...new Set([host, 'localhost', '127.0.0.1'])];
  return E.right({
    ...(await issueCertificate(authority.right, hosts)),
    ca: authority.right.certificate,
  });
};

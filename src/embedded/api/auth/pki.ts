/** Keys and certificates of one control plane, made once and kept in its data folder. */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths and contents of the keys, PEM. */
export type Pki = Readonly<{ caPem: string; certPem: string; keyPem: string; serviceAccountKeyPem: string }>;

/** Reads the keys below `<dataDir>/pki`, or makes them. Key files are readable by their owner alone. */
export const loadPki = async (dataDir: string): Promise<Pki> => {
  const folder = join(dataDir, 'pki');
  const file = (name: string): string => join(folder, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // sa.key is written last, so a folder without it was left half made and is made anew.
  if (!existsSync(file('sa.key'))) {
    // Loaded only when needed: the library is most of what a restart would take.
    const { makeCertificates } = await import('./certificates.js');
    const made = await makeCertificates();
    const write = (name: string, text: string, mode: number): void =>
      writeFileSync(file(name), text, { mode });
    write('ca.crt', made.caPem, 0o644);
    write('ca.key', made.caKeyPem, 0o600);
    write('apiserver.crt', made.certPem, 0o644);
    write('apiserver.key', made.keyPem, 0o600);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    write('sa.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
  }
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  return {
    caPem: read('ca.crt'),
    certPem: read('apiserver.crt'),
    keyPem: read('apiserver.key'),
    serviceAccountKeyPem: read('sa.key'),
  };
};

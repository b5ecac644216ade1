/** CycloneDX: what the programs consist of. npm's own, with the parts that differ at each call made to depend on it. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';

import { nodeVersion } from './platforms.js';

/** The document as text. `root` has package.json and package-lock.json. */
export const billOfMaterials = (root, date) => {
  const bill = JSON.parse(
    execFileSync(
      'npm',
      ['sbom', '--sbom-format=cyclonedx', '--omit=dev', '--package-lock-only', '--sbom-type=application'],
      { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
    ),
  );
  bill.metadata.timestamp = date.toISOString();
  // The version of npm that made it says nothing of what is in it.
  delete bill.metadata.tools;
  delete bill.serialNumber;
  bill.components.push({
    'bom-ref': `node@${nodeVersion}`,
    type: 'platform',
    name: 'node',
    version: nodeVersion,
    description: 'inside the executables',
    purl: `pkg:generic/node@${nodeVersion}`,
  });
  const digits = createHash('sha256').update(JSON.stringify(bill)).digest('hex');
  const uuid = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `5${digits.slice(13, 16)}`,
    `8${digits.slice(17, 20)}`,
    digits.slice(20, 32),
  ].join('-');
  return `${JSON.stringify({ ...bill, serialNumber: `urn:uuid:${uuid}` }, null, 2)}\n`;
};

/**
 * Small programs in place of the control plane's own, for tests of the supervisor alone: they keep the promises that
 * the supervisor relies on (listen, announce, end on SIGTERM and with their parent) and nothing else.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const COMMON = `
import { createServer } from 'node:http';
import { Socket } from 'node:net';
import { mkdirSync, renameSync, writeFileSync, appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
const flag = (name) => process.argv[process.argv.indexOf(name) + 1];
new Socket({ fd: Number(process.env.KRUNTIME_PARENT_FD) }).on('close', () => process.exit(0)).resume().unref();
process.on('SIGTERM', () => process.exit(0));
`;

const APISERVER = `${COMMON}
const dir = flag('--data-dir');
if (existsSync(join(dir, 'refuse'))) { console.error('refused to start'); process.exit(3); }
mkdirSync(join(dir, 'pki'), { recursive: true });
writeFileSync(join(dir, 'pki/ca.crt'), 'CA');
writeFileSync(join(dir, 'tokens.json'), JSON.stringify({ admin: 'a', operator: 'o', kubelet: 'k' }), { mode: 0o600 });
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => { body += chunk; });
  request.on('end', () => {
    if (request.method === 'POST') appendFileSync(join(dir, 'posted'), body + '\\n');
    response.writeHead(request.method === 'POST' ? 201 : 200, { 'content-type': 'application/json' });
    response.end(request.method === 'POST' ? body : '{}');
  });
});
server.listen(Number(flag('--port')), '127.0.0.1', () => {
  const file = join(dir, 'apiserver.json');
  writeFileSync(file + '.tmp', JSON.stringify({ url: 'http://127.0.0.1:' + server.address().port, pid: process.pid }));
  renameSync(file + '.tmp', file);
});
`;

const KUBELET = `${COMMON}
const dir = flag('--data-dir');
appendFileSync(join(dir, 'kubelet-starts'), process.pid + '\\n');
setInterval(() => undefined, 1e6);
`;

/** Writes the programs into \`folder\` and returns it. */
export const writePrograms = (folder: string): string => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  writeFileSync(join(folder, 'apiserver.js'), APISERVER);
  writeFileSync(join(folder, 'kubelet.js'), KUBELET);
  return folder;
};

import { mkdtempSync, writeFileSync } from 'node:fs';
import { startApiServer } from './src/embedded/api/server.js';
import { kubeconfigText } from './src/embedded/control-plane/kubeconfigs.js';
const dataDir = mkdtempSync('/tmp/krtapi-');
const api = await startApiServer({ dataDir });
writeFileSync('/tmp/krt.kubeconfig', kubeconfigText(api.url, api.caPem, api.adminToken), { mode: 0o600 });
console.log(api.url, process.pid);
process.on('SIGTERM', () => { void api.close().then(() => process.exit(0)); });

/** The programs as they ship: `npm test` builds them before it runs any test. */
import { fileURLToPath } from 'node:url';

/** Folder of krt.js, apiserver.js and the others. */
export const bundles = fileURLToPath(new URL('../../../dist', import.meta.url));

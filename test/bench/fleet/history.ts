/** A long history at once: finished Runs put into the store of a control plane that is stopped, as it would have them. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

import { Store } from '../../../src/embedded/api/store/store.js';

const RUNS = 'kruntimes.io/runs';
/** Objects that are written between two waits for the disk. */
const BATCH = 5_000;

/** Puts `count` copies of the newest finished Run of this name's beginning, each under a name and uid of its own. */
export const addHistory = async (dataDir: string, prefix: string, count: number): Promise<void> => {
  const store = await Store.open({ folder: join(dataDir, 'store') });
  try {
    const template = [...store.list(RUNS)].find(({ key }) => key.includes(`/${prefix}`))?.object;
    if (template === undefined) throw new Error(`no Run ${prefix}… to copy`);
    for (let index = 0; index < count; index += 1) {
      const metadata = { ...template.metadata, name: `${prefix}copy-${index}`, uid: randomUUID() };
      store.put(RUNS, { ...template, metadata });
      if (index % BATCH === BATCH - 1) await store.durable();
    }
    await store.durable();
  } finally {
    await store.close();
  }
};

/** What may befall the API server's files: restored from a copy (etcd's, too), or torn. */
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

import { type Fault, theProcess } from './faults.js';
import type { FaultyPlane } from './plane.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const filesOf = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).filter((name) => /^(log|snapshot)-[0-9]+$/.test(name));

/** While it is stopped its files are changed; then it is killed, and started again on what is there. */
const changed = async (plane: FaultyPlane, change: (folder: string) => void): Promise<void> => {
  const pid = theProcess(plane, 'apiserver.js');
  process.kill(pid, 'SIGSTOP');
  change(join(plane.dataDir, 'store'));
  process.kill(pid, 'SIGKILL');
};

/** All that was written after the copy never happened, for the API; everybody else remembers it. */
const restored = (afterMs: number): Fault => ({
  name: `store restored from a copy of ${afterMs} ms before`,
  rewinds: true,
  apply: async (plane) => {
    if (plane.cluster !== undefined) {
      const restore = plane.cluster.copyStore();
      await sleep(afterMs);
      await restore();
      return;
    }
    const copy = new Map<string, Buffer>();
    const store = join(plane.dataDir, 'store');
    for (const name of filesOf(store)) copy.set(name, readFileSync(join(store, name)));
    await sleep(afterMs);
    await changed(plane, (folder) => {
      for (const name of filesOf(folder)) rmSync(join(folder, name));
      for (const [name, bytes] of copy) writeFileSync(join(folder, name), bytes, { mode: 0o600 });
    });
  },
});

/** The newest log and the end of its records: room that was made for more is zeros. */
export const newestLog = (folder: string): Readonly<{ path: string; end: number }> => {
  const [name = ''] = filesOf(folder)
    .filter((each) => each.startsWith('log-'))
    .sort((a, b) => Number(b.slice(4)) - Number(a.slice(4)));
  const path = join(folder, name);
  const bytes = readFileSync(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return { path, end };
};

/** Where in a log each write begins: with a record of kind S (ADR 0026), framed as `length u32 | crc32 u32 | kind ...`. */
const beginsOfWrites = (log: Buffer): ReadonlyArray<number> => {
  const begins: number[] = [];
  for (let at = 0; at + 9 <= log.length; at += 8 + log.readUInt32LE(at))
    if (log.toString('latin1', at + 8, at + 9) === 'S') begins.push(at);
  return begins;
};

/** A disk that says of the last writes that they are synced, and does not have them. */
const lost = (writes: number): Fault => ({
  name: `store without its last ${writes} synced writes`,
  rewinds: true,
  lacks: ({ cluster }) => (cluster === undefined ? undefined : 'how etcd mends its log is etcd’s'),
  apply: (plane) =>
    changed(plane, (folder) => {
      const { path, end } = newestLog(folder);
      const begins = beginsOfWrites(readFileSync(path).subarray(0, end));
      const at = begins.at(-writes);
      if (at === undefined) throw new Error(`${path} has ${begins.length} writes: the cell says nothing`);
      truncateSync(path, at);
    }),
});

export const STORE_FAULTS: ReadonlyArray<Fault> = [
  restored(300),
  restored(2000),
  lost(1),
  lost(5),
  {
    name: 'store torn: a record half written',
    lacks: ({ cluster }) => (cluster === undefined ? undefined : 'how etcd mends its log is etcd’s'),
    // Behind what was synced: a disk that loses what it has synced is a store that went back, see above.
    apply: (plane) =>
      changed(plane, (folder) => {
        const { path, end } = newestLog(folder);
        const half = readFileSync(path).subarray(0, 30);
        const fd = openSync(path, 'r+');
        writeSync(fd, half, 0, half.length, end);
        closeSync(fd);
      }),
  },
];

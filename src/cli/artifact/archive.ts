/** Is a file the archive that runtimed makes of a directory? Its first entry is the directory itself. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';

import * as tar from 'tar-stream';

/** Whether it is a tar.gz whose first entry is a directory of that name. Reads its beginning alone. */
export const isArchiveOf = (name: string, path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const file = createReadStream(path, { end: 64 * 1024 });
    const gunzip = createGunzip();
    const extract = tar.extract();
    const settle = (isOne: boolean): void => {
      for (const stream of [file, gunzip, extract]) stream.destroy();
      resolve(isOne);
    };
    extract.once('entry', (header) => settle(header.type === 'directory' && header.name === `${name}/`));
    // No gzip, no tar, or none that begins with an entry.
    const none = (): void => settle(false);
    file.on('error', none);
    gunzip.on('error', none);
    extract.on('error', none);
    extract.once('finish', none);
    file.pipe(gunzip).pipe(extract);
  });

/** What a process says of itself in its metrics, of that which is to stay flat. */
import { request } from 'node:http';

import type { Reading } from './question.js';

const WANTED: ReadonlyArray<readonly [string, RegExp]> = [
  ['sessions', /^kruntimes_sessions (\S+)/m],
  ['ends pending', /^kruntimes_runtimed_ends_pending (\S+)/m],
];

/** From a metrics endpoint on a unix socket; nothing when it does not answer in five seconds. */
export const metricsReading = (socketPath: string): Promise<Reading> =>
  new Promise((resolve) => {
    const call = request({ socketPath, path: '/metrics', timeout: 5000, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', () => resolve({}));
      response.on('end', () =>
        resolve(
          Object.fromEntries(
            WANTED.flatMap(([name, pattern]) => {
              const value = pattern.exec(text)?.[1];
              return value === undefined ? [] : [[name, Number(value)]];
            }),
          ),
        ),
      );
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve({}));
    call.end();
  });

/** What a process holds: memory, descriptors, and what its own metrics say. */
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';

/** Named numbers of one process at one moment. */
export type Reading = Readonly<Record<string, number>>;

/** From /proc; undefined when it is gone. */
export const processReading = (pid: number): Reading | undefined => {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      'memory MB': Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
    };
  } catch {
    return undefined;
  }
};

const WANTED: ReadonlyArray<readonly [string, RegExp]> = [
  ['heap MB', /^nodejs_heap_size_used_bytes (\S+)/m],
  ['handles', /^nodejs_active_handles_total (\S+)/m],
  ['timers', /^nodejs_active_resources\{type="Timeout"\} (\S+)/m],
  ['resources', /^nodejs_active_resources_total (\S+)/m],
  ['sessions', /^kruntimes_sessions (\S+)/m],
  ['ends pending', /^kruntimes_runtimed_ends_pending (\S+)/m],
  ['log MB', /^kruntimes_runtimed_log_bytes (\S+)/m],
];

/** From a metrics endpoint on a unix socket; nothing when it does not answer in a second. */
export const metricsReading = (socketPath: string): Promise<Reading> =>
  new Promise((resolve) => {
    const call = request({ socketPath, path: '/metrics', timeout: 1000 }, (response) => {
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
              if (value === undefined) return [];
              return [[name, Number(value) / (name.endsWith('MB') ? 2 ** 20 : 1)]];
            }),
          ),
        ),
      );
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve({}));
    call.end();
  });

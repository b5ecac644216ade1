/** Is a component well? Asked only when somebody wants to know, never by a timer. */
import { request } from 'node:http';

import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom } from 'rxjs';

import type { KubeClient } from '../../io/kube/client.js';

const LIMIT_MS = 2000;

/** Whether `GET path` on a unix socket is answered with 200. */
export const answersOn = (socketPath: string, path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = request({ socketPath, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.setTimeout(LIMIT_MS, () => asked.destroy(new Error('no answer in time')));
    asked.on('error', () => resolve(false));
    asked.end();
  });

/** Whether the API server says it is ready. */
export const isApiReady = async (client: KubeClient): Promise<boolean> => {
  const answer = await firstValueFrom(client.raw('GET', '/readyz', { timeoutMs: LIMIT_MS }));
  return E.isRight(answer) && answer.right.status === 200;
};

/**
 * A session that a stock kubectl had with a real kube-apiserver (record-session.ts), asked again: every answer is the
 * same, but for what is each server's own. Needs no kubectl.
 */
import { readFileSync } from 'node:fs';

import { expect } from 'chai';

import { differences, type Exchange, learn, normalised, SESSION_FILE, translated } from './session.js';
import type { Target } from './target.js';
import { openTarget } from './target.js';

/** What one command asked. */
type Asked = Readonly<{ kubectl: string; exchanges: Array<Exclude<Exchange, { kubectl: string }>> }>;

const commands: Asked[] = [];
for (const exchange of JSON.parse(readFileSync(SESSION_FILE, 'utf8')) as ReadonlyArray<Exchange>)
  if ('kubectl' in exchange) commands.push({ kubectl: exchange.kubectl, exchanges: [] });
  else commands.at(-1)?.exchanges.push(exchange);

describe('a session of kubectl', () => {
  let target: Target;
  const known = new Map<string, string>();
  before(async () => {
    target = await openTarget();
  });
  after(async () => {
    await target.call('DELETE', '/api/v1/namespaces/session');
    await target.close();
  });

  for (const [index, { kubectl, exchanges }] of commands.entries())
    it(`${index + 1}. kubectl ${kubectl.slice(0, 90)}`, async () => {
      const found: string[] = [];
      // To the end also where one differs: later commands build on it.
      for (const { method, path, headers, type, sent, code, got, warning } of exchanges) {
        const body = sent === undefined ? undefined : translated(JSON.stringify(sent), known);
        const reply = await target.call(method, translated(path, known), body, {
          headers,
          ...(type === undefined ? {} : { type }),
        });
        learn(got, reply.body, known);
        const lines = differences(
          normalised({ code, got, warning }),
          normalised({ code: reply.code, got: reply.body, warning: reply.headers.warning }),
        );
        found.push(...lines.map((line) => `${method} ${path} ${line}`));
      }
      expect(found.join('\n')).to.equal('');
    });
});

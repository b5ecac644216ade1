/** Configuration of the operator: flags, decoded. `--help` prints `USAGE`. */
import { parseArgs } from 'node:util';

import * as E from 'fp-ts/lib/Either.js';

import { type Address, parseAddress } from '../io/address.js';
import { parseDuration } from '../model/time.js';

/** What the operator is told at its start. */
export type ControllerConfig = Readonly<{
  /** Kubeconfig; undefined means the pod's own ServiceAccount. */
  kubeconfig: string | undefined;
  context: string | undefined;
  /** Where its Lease and its session CA live. */
  namespace: string;
  /** The only namespaces it serves; none means all. */
  watchNamespaces: ReadonlyArray<string>;
  sessionsListen: Address;
  /** What pods are told to dial. */
  sessionsUrl: string;
  /** Folder with tls.crt, tls.key and ca.crt for the sessions; undefined: issued by the operator itself. */
  sessionsTlsDir: string | undefined;
  metricsListen: Address;
  probesListen: Address;
  daemonImage: string;
  /** Claim, in each Runtime's namespace, for the artifacts of Runtimes that name no store; undefined: none. */
  defaultArtifactClaim: string | undefined;
  /** How long finished Runs stay, and how many of each Runtime, where they do not say it themselves. */
  retention: Readonly<{ defaultTtlMs?: number; historyLimit?: number }>;
  /** False: act at once, for a single process. */
  leaderElect: boolean;
}>;

/** Text of `--help`. */
export const USAGE = `Usage: controller [flags]

  --kubeconfig FILE        cluster to serve; without it, the one this pod runs in
  --context NAME           context of the kubeconfig
  --namespace NS           namespace of the Lease and the session CA (default kruntimes-system)
  --watch-namespace NS     serve only this namespace; may be given several times (default all)
  --sessions-listen ADDR   where runtimed dials in (default 0.0.0.0:9443)
  --sessions-url URL       how pods reach that (default https://kruntimes-sessions.<namespace>.svc:9443)
  --sessions-tls-dir DIR   tls.crt, tls.key and ca.crt for that (default issued by a CA of the operator's own)
  --metrics-listen ADDR    Prometheus metrics (default 0.0.0.0:8080)
  --probes-listen ADDR     /healthz and /readyz (default 0.0.0.0:8081)
  --daemon-image IMAGE     runtimed image of Runtimes that name none (default kruntimes-runtimed:latest)
  --default-artifact-claim NAME  claim for artifacts of Runtimes that name no store, made where it is missing
  --default-ttl DURATION   delete finished Runs without ttlSecondsAfterFinished after it, as 720h (default never)
  --history-limit N        keep the newest N finished Runs of each Runtime, those with ttlSecondsAfterFinished apart
                           (default all)
  --no-leader-elect        act without a Lease, for a single process

ADDR is host:port, :port or unix:/path.
`;

const OPTIONS = {
  kubeconfig: { type: 'string' },
  context: { type: 'string' },
  namespace: { type: 'string', default: 'kruntimes-system' },
  'watch-namespace': { type: 'string', multiple: true },
  'sessions-listen': { type: 'string', default: '0.0.0.0:9443' },
  'sessions-url': { type: 'string' },
  'sessions-tls-dir': { type: 'string' },
  'metrics-listen': { type: 'string', default: '0.0.0.0:8080' },
  'probes-listen': { type: 'string', default: '0.0.0.0:8081' },
  'daemon-image': { type: 'string', default: 'kruntimes-runtimed:latest' },
  'default-artifact-claim': { type: 'string' },
  'default-ttl': { type: 'string' },
  'history-limit': { type: 'string' },
  'no-leader-elect': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const address = (flag: string, text: string): E.Either<string, Address> => {
  const parsed = parseAddress(text.startsWith(':') ? `0.0.0.0${text}` : text);
  return E.isLeft(parsed) ? E.left(`--${flag}: ${parsed.left}`) : parsed;
};

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

const retentionOf = (values: Values): E.Either<string, ControllerConfig['retention']> => {
  const { 'default-ttl': ttl, 'history-limit': limit } = values;
  const ttlMs = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttlMs && E.isLeft(ttlMs)) return E.left(`--default-ttl: ${JSON.stringify(ttl)} ${ttlMs.left}`);
  if (limit !== undefined && !/^\d{1,9}$/.test(limit))
    return E.left(`--history-limit: ${JSON.stringify(limit)} is not a whole number`);
  return E.right({
    ...(ttlMs === undefined ? {} : { defaultTtlMs: ttlMs.right }),
    ...(limit === undefined ? {} : { historyLimit: Number(limit) }),
  });
};

/** Flags → configuration; 'help' when asked for; a Left says which flag is wrong. */
export const parseConfig = (argv: ReadonlyArray<string>): E.Either<string, ControllerConfig | 'help'> => {
  let values: Values;
  try {
    values = parseArgs({ args: [...argv], options: OPTIONS }).values;
  } catch (error) {
    return E.left(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return E.right('help');
  const sessionsListen = address('sessions-listen', values['sessions-listen']);
  if (E.isLeft(sessionsListen)) return sessionsListen;
  const metricsListen = address('metrics-listen', values['metrics-listen']);
  if (E.isLeft(metricsListen)) return metricsListen;
  const probesListen = address('probes-listen', values['probes-listen']);
  if (E.isLeft(probesListen)) return probesListen;
  const retention = retentionOf(values);
  if (E.isLeft(retention)) return retention;
  const sessionsUrl = values['sessions-url'] ?? `https://kruntimes-sessions.${values.namespace}.svc:9443`;
  if (!URL.canParse(sessionsUrl) || new URL(sessionsUrl).protocol !== 'https:')
    return E.left(`--sessions-url: ${JSON.stringify(sessionsUrl)} is not an https URL`);
  return E.right({
    kubeconfig: values.kubeconfig,
    context: values.context,
    namespace: values.namespace,
    watchNamespaces: [...new Set(values['watch-namespace'])],
    sessionsListen: sessionsListen.right,
    sessionsUrl,
    sessionsTlsDir: values['sessions-tls-dir'],
    metricsListen: metricsListen.right,
    probesListen: probesListen.right,
    daemonImage: values['daemon-image'],
    defaultArtifactClaim: values['default-artifact-claim'],
    retention: retention.right,
    leaderElect: !values['no-leader-elect'],
  });
};

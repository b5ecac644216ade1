/**
 * Entry of the operator: reads its flags, opens what it listens on, subscribes to `operator()` and ends in order.
 *
 * On SIGTERM it takes no new decision, lets writes in flight finish for a few seconds, gives the Lease back, closes the
 * sessions and exits 0. A defect ends it with 1; Kubernetes, or the local supervisor, starts it again.
 */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import {
  BehaviorSubject,
  combineLatest,
  concat,
  concatMap,
  distinctUntilChanged,
  firstValueFrom,
  map,
  NEVER,
  type Observable,
  of,
  ReplaySubject,
  type Subscription,
  takeUntil,
  tap,
} from 'rxjs';
import { type OperatorOptions, operator } from '../../streams/operator.js';
import { printAddress } from '../io/address.js';
import { preciseClock } from '../io/clock.js';
import { kubeClient } from '../io/kube/client.js';
import { clusterFromKubeconfig, clusterFromServiceAccount } from '../io/kube/cluster.js';
import { leadership } from '../io/kube/lease.js';
import { componentLog, openLog } from '../io/log.js';
import { serveMetrics } from '../io/metrics-server.js';
import { endWithParent } from '../io/parent.js';
import { serveProbes } from '../io/probes.js';
import { refuseDebugger } from '../io/refuse-debugger.js';
import type { SessionTls } from '../io/session/certificates.js';
import { serveSessions } from '../io/session/server.js';
import { reviewSessionToken } from '../io/session/token-review.js';
import { surviveLostOutput } from '../io/standard-output.js';
import { nowMicros } from '../io/wall-clock.js';
import type { EffectError } from '../model/effect-error.js';
import { secrets } from '../model/resources.js';
import { version } from '../model/version.js';
import type { KubePort } from '../ports.js';
import { type ControllerConfig, parseConfig, USAGE } from './config.js';
import { controllerMetrics } from './metrics.js';
import { logReport } from './report-log.js';
import { issueSessionTls, readSessionTls, renewSessionTls, watchSessionTls } from './session-tls.js';

/** How long writes in flight may take after SIGTERM, milliseconds. */
const STOP_LIMIT_MS = 5000;
/** Name of the Lease and of the Secret with the session CA. */
const LEASE = 'kruntimes-controller';
const AUTHORITY_SECRET = 'kruntimes-sessions-ca';
const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

const Identified = t.type({ metadata: t.type({ uid: t.string }) });

const log = openLog({ name: 'operator' });

const fail = (message: string, code: number): never => {
  process.stderr.write(`controller: ${message}\n`);
  process.exit(code);
};

const clusterOf = ({ kubeconfig, context }: ControllerConfig) =>
  kubeconfig === undefined
    ? clusterFromServiceAccount(
        SERVICE_ACCOUNT_DIR,
        process.env.KUBERNETES_SERVICE_HOST ?? '',
        process.env.KUBERNETES_SERVICE_PORT ?? '',
      )
    : clusterFromKubeconfig({ paths: [kubeconfig] }, { context });

/** The certificate of the sessions, and those that follow it. */
const sessionTls = async (
  { sessionsTlsDir, sessionsUrl, namespace }: ControllerConfig,
  kube: KubePort,
): Promise<
  E.Either<
    EffectError,
    Readonly<{ first: SessionTls; later$: Observable<E.Either<EffectError, SessionTls>> }>
  >
> => {
  if (sessionsTlsDir !== undefined) {
    const first = await readSessionTls(sessionsTlsDir);
    return E.isLeft(first) ? first : E.right({ first: first.right, later$: watchSessionTls(sessionsTlsDir) });
  }
  const ref = { namespace, name: AUTHORITY_SECRET };
  const { hostname: host } = new URL(sessionsUrl);
  const issued = await issueSessionTls(kube, ref, host);
  return E.isLeft(issued)
    ? issued
    : E.right({
        first: issued.right.tls,
        later$: renewSessionTls(kube, ref, host, issued.right, { random: Math.random, clock: preciseClock }),
      });
};

/** UID of the Secret with the session CA; undefined where there is none. */
const uidOf = async (kube: KubePort, { namespace }: ControllerConfig): Promise<string | undefined> => {
  const secret = Identified.decode(
    E.getOrElseW(() => undefined)(
      await firstValueFrom(kube.get(secrets, { namespace, name: AUTHORITY_SECRET })),
    ),
  );
  return E.isRight(secret) ? secret.right.metadata.uid : undefined;
};

const start = async (config: ControllerConfig): Promise<void> => {
  const cluster = await clusterOf(config);
  if (E.isLeft(cluster)) return fail(cluster.left.message, 1);
  const kube = kubeClient(cluster.right, { userAgent: `kruntimes-controller/${version}` });
  const identity = `${hostname()}_${randomUUID()}`;

  const tls = await sessionTls(config, kube);
  if (E.isLeft(tls)) return fail(tls.left.message, 1);
  /** The CA that pods are told. */
  const ca$ = new BehaviorSubject(tls.right.first.ca);

  let isDeciding = false;
  const sessions = await serveSessions({
    address: config.sessionsListen,
    certificate: tls.right.first.certificate,
    privateKey: tls.right.first.privateKey,
    authenticate: reviewSessionToken(kube),
    isAccepting: () => isDeciding,
  });
  const metrics = controllerMetrics();
  const metricsServer = await serveMetrics(config.metricsListen, metrics.registry);
  const probes = await serveProbes(config.probesListen, {
    whyUnhealthy: () => undefined,
    whyUnready: () => undefined,
  });
  log.info(
    {
      sessions: printAddress(config.sessionsListen),
      metrics: printAddress(config.metricsListen),
      version,
      identity,
    },
    'operator started',
  );

  /** The Lease's UID, as all replicas have it; without one that of the Secret, which is not shared by others either. */
  let installation = config.leaderElect ? undefined : await uidOf(kube, config);
  const stop$ = new ReplaySubject<void>(1);
  const release$ = new ReplaySubject<void>(1);
  const mine$: OperatorOptions['leads$'] = config.leaderElect
    ? leadership(kube, { namespace: config.namespace, name: LEASE, identity, until$: release$ }).pipe(
        map((state) => (state.kind === 'Leading' ? state : undefined)),
        tap((state) => {
          installation = state?.uid ?? installation;
        }),
      )
    : concat(of({ isStillLeading: () => true }), NEVER.pipe(takeUntil(release$)));
  // A new CA is a new beginning: what pods are told has changed. Sessions close and come back.
  const leads$ = combineLatest([
    mine$.pipe(tap({ complete: () => ca$.complete() })),
    ca$.pipe(distinctUntilChanged()),
  ]).pipe(concatMap(([leads]) => (leads === undefined ? [undefined] : [undefined, leads])));

  let isFinishing = false;
  const finish = async (code: number): Promise<void> => {
    if (isFinishing) return;
    isFinishing = true;
    subscription?.unsubscribe();
    renewals?.unsubscribe();
    await Promise.all([sessions.close(), metricsServer.close(), probes.close()]);
    kube.close();
    process.exit(code);
  };

  let subscription: Subscription | undefined;
  let renewals: Subscription | undefined;
  subscription = operator({
    kube,
    sessions: sessions.port,
    settings: () => ({
      daemonImage: config.daemonImage,
      operatorUrl: config.sessionsUrl,
      operatorCa: ca$.value,
      ...(installation === undefined ? {} : { installation }),
      ...(config.defaultArtifactClaim === undefined
        ? {}
        : {
            defaultArtifactStore: {
              driver: 'filesystem',
              filesystem: { volumeClaimName: config.defaultArtifactClaim },
            },
          }),
    }),
    retention: config.retention,
    now: nowMicros,
    clock: preciseClock,
    random: Math.random,
    identity,
    namespaces: config.watchNamespaces,
    leads$: leads$.pipe(tap({ complete: () => void finish(0) })),
    stop$,
  }).subscribe({
    next: (report) => {
      if (report.kind === 'Deciding') {
        isDeciding = report.isDeciding;
        if (!isDeciding) sessions.closeSessions('this operator does not lead');
      }
      metrics.count(report);
      logReport(componentLog(log, 'operator'), report);
      // What we know of it may never have been: no mending of a cache is as sure as a new process.
      if (report.kind === 'Watch' && report.news.kind === 'Rewound') end('API server rewound');
      // The Lease last, when nothing is written any more; its release ends the process.
      if (report.kind === 'Stopped') release$.next();
    },
    error: (defect: unknown) => {
      log.fatal({ err: defect }, 'operator ended by a defect');
      void finish(1);
    },
  });

  renewals = tls.right.later$.subscribe({
    next: (renewed) => {
      if (E.isLeft(renewed)) {
        log.warn({ err: renewed.left }, 'session certificate not renewed');
        return;
      }
      log.info({ isNewAuthority: renewed.right.ca !== ca$.value }, 'session certificate renewed');
      sessions.useCertificate(renewed.right);
      ca$.next(renewed.right.ca);
    },
    error: (defect: unknown) => {
      log.fatal({ err: defect }, 'session certificates are not watched any more');
      void finish(1);
    },
  });

  const end = (signal: string): void => {
    log.info({ signal }, 'operator stopping');
    stop$.next();
    setTimeout(() => void finish(0), STOP_LIMIT_MS).unref();
  };
  process.once('SIGTERM', () => end('SIGTERM'));
  process.once('SIGINT', () => end('SIGINT'));
  endWithParent(() => process.exit(1));
};

refuseDebugger();
surviveLostOutput();
const config = parseConfig(process.argv.slice(2));
if (E.isLeft(config)) fail(`${config.left}; see --help`, 2);
else if (config.right === 'help') process.stdout.write(USAGE);
else
  start(config.right).catch((defect: unknown) => {
    log.fatal({ err: defect }, 'operator could not start');
    process.exit(1);
  });

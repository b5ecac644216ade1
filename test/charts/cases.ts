/** The values that goldens are rendered with: the defaults, and everything turned on. */
import type { Body } from '../conformance/target.js';

/** One golden. */
export type Case = Readonly<{
  name: string;
  chart: 'kruntimes' | 'kruntimes-runtimes';
  namespace: string;
  values: Body;
}>;

export const cases: ReadonlyArray<Case> = [
  { name: 'kruntimes-defaults', chart: 'kruntimes', namespace: 'kruntimes-system', values: {} },
  {
    name: 'kruntimes-restricted',
    chart: 'kruntimes',
    namespace: 'team-a-system',
    values: { crds: { install: false }, watchNamespaces: ['team-a', 'team-a-ci'], replicas: 1 },
  },
  {
    name: 'kruntimes-everything',
    chart: 'kruntimes',
    namespace: 'kruntimes-system',
    values: {
      crds: { install: false },
      replicas: 3,
      logLevel: 'debug',
      images: {
        registry: 'registry.example/kruntimes',
        tag: '1.2.3',
        pullPolicy: 'Always',
        pullSecrets: ['pull'],
      },
      artifacts: { defaultClaim: 'kruntimes-artifacts' },
      // As many as make helm write a number with an exponent where it is not told otherwise.
      retention: { defaultTTL: '720h', historyLimit: 1_000_000 },
      sessions: {
        port: 443,
        tls: { mode: 'certManager', certManager: { issuerRef: { name: 'internal', kind: 'ClusterIssuer' } } },
      },
      metrics: {
        serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
        dashboard: { enabled: true },
      },
      networkPolicy: {
        metricsFrom: [
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
        ],
      },
      admissionPolicy: { exemptUsers: ['system:serviceaccount:default:migration'] },
      serviceAccount: { annotations: { note: 'an annotation' } },
      podLabels: { team: 'platform' },
      podAnnotations: { note: 'an annotation' },
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      tolerations: [{ key: 'system', operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
      ],
      priorityClassName: 'system-cluster-critical',
    },
  },
  { name: 'runtimes-defaults', chart: 'kruntimes-runtimes', namespace: 'default', values: {} },
  {
    name: 'runtimes-more',
    chart: 'kruntimes-runtimes',
    namespace: 'team-a',
    values: {
      images: { registry: 'registry.example/kruntimes', tag: '1.2.3', pullSecrets: ['pull'] },
      runtimes: {
        bash: { enabled: false },
        tools: {
          image: 'tools-runtime',
          tag: '7',
          replicas: 1,
          capacity: { runs: 2, gpu: 1 },
          args: ['--warm-least', '1'],
          env: [{ name: 'LANG', value: 'C.UTF-8' }],
          workspace: { emptyDir: { sizeLimit: '5Gi' } },
          artifactStore: { driver: 'filesystem', filesystem: { volumeClaimName: 'artifacts' } },
          logs: { headBytes: 65536 },
          git: { credentials: [{ host: 'github.com', secretName: 'github' }], timeout: '1m' },
          serviceAccountName: 'worker',
          nodeSelector: { pool: 'runs' },
          tolerations: [{ key: 'runs', operator: 'Exists' }],
          affinity: { nodeAffinity: {} },
          podLabels: { team: 'a' },
          podAnnotations: { note: 'an annotation' },
        },
      },
      networkPolicy: { enabled: false },
      test: { runtime: 'tools' },
    },
  },
];

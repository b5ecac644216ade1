/**
 * Guide: Artifacts, on the filesystem store.
 *
 * Whether this version stores artifacts is seen at a Runtime Pod: its runtimed has the volume `artifact-store`
 * mounted, or not. With it, everything the guide says must hold; without it the section says what is to come.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { firstValueFrom } from 'rxjs';

import { pods } from '../../model/resources.js';
import type { Scene, Section } from '../scene.js';

const LINES = `mkdir -p "$KRUNTIME_ARTIFACTS_DIR"
echo "artifact body" > "$KRUNTIME_ARTIFACTS_DIR/result.txt"`;
const BODY = 'artifact body\n';

const Mounts = t.type({
  spec: t.type({
    containers: t.array(
      t.intersection([
        t.type({ name: t.string }),
        t.partial({ volumeMounts: t.array(t.type({ name: t.string })) }),
      ]),
    ),
  }),
});

const storesArtifacts = async ({ client }: Scene): Promise<boolean> => {
  const list = await firstValueFrom(
    client.list(pods, { namespace: 'default', labelSelector: 'runtime=bash-artifacts' }),
  );
  if (E.isLeft(list)) throw new Error(list.left.message);
  return list.right.items.some((item) => {
    const pod = Mounts.decode(item);
    return (
      E.isRight(pod) &&
      pod.right.spec.containers.some(({ volumeMounts }) =>
        volumeMounts?.some(({ name }) => name === 'artifact-store'),
      )
    );
  });
};

export const artifacts: Section = {
  title: 'Artifacts',
  says: 'Files below $KRUNTIME_ARTIFACTS_DIR are persisted; Run.status has artifactRefs, not the data.',
  play: async (scene) => {
    const { apply, check, finished, krt, witness, narrator, stage } = scene;
    const applied = await apply('artifacts-runtime.yaml');
    check('a Runtime with a filesystem store is accepted', applied.ended.code === 0, applied.ended.output);
    await witness.runtime('bash-artifacts', ({ status }) => status?.readyReplicas === 1);

    const run = await krt([
      'run',
      '-r',
      'bash-artifacts',
      '--name',
      'artifacts-example',
      '--wait',
      '--',
      LINES,
    ]);
    check("the guide's lines run", run.code === 0, run.output);
    const { status } = await finished('artifacts-example');
    if (!(await storesArtifacts(scene))) {
      narrator.toCome(
        'this version gives runtimed no artifact store yet: the file was written, but is not kept',
      );
      return;
    }

    const [ref] = status.artifactRefs ?? [];
    const digest = `sha256:${createHash('sha256').update(BODY).digest('hex')}`;
    check('status.artifactRefs names result.txt', ref?.name === 'result.txt', status.artifactRefs);
    check('with its size', ref?.sizeBytes === BODY.length, ref);
    check('and its digest', ref?.digest === digest, ref);
    check('but not its content', !JSON.stringify(status).includes(BODY.trim()), status);
    await krt(['artifact', 'list', 'artifacts-example']);
    const folder = join(stage.folder, 'downloads');
    mkdirSync(folder);
    const download = await krt(['artifact', 'download', 'artifacts-example', '-d', folder]);
    const file = join(folder, 'result.txt');
    check(
      'krt artifact download brings the file',
      download.code === 0 && existsSync(file) && readFileSync(file, 'utf8') === BODY,
      download.output,
    );
  },
};

/** Guide: Use Source and Entrypoint. */
import type { Section } from '../scene.js';

export const sourceAndEntrypoint: Section = {
  title: 'Use Source and Entrypoint',
  says: "Source is prepared into a per-Run workspace. Entrypoints are relative and cannot contain '..'.",
  play: async ({ apply, check, finished, krt }) => {
    const { ended } = await apply('run-source.yaml');
    check('the manifest is accepted as it is', ended.code === 0, ended.output);
    const { run, status } = await finished('script-example');
    check('it ends Succeeded', status.phase === 'Succeeded', status);
    const logs = await krt(['logs', 'script-example']);
    check('its source ran', logs.stdout === 'hello from source\n', logs.stdout);

    const where = await krt(['run', '--name', 'where', '--follow', '--', 'basename "$PWD"; ls -A']);
    const { run: whereRun } = await finished('where');
    check(
      "each Run has a workspace of its own, named by the Run's uid",
      where.stdout.startsWith(whereRun.metadata.uid) && run.metadata.uid !== whereRun.metadata.uid,
      where.stdout,
    );

    for (const [file, why] of [
      ['refused-absolute.yaml', 'an absolute entrypoint'],
      ['refused-dots.yaml', "an entrypoint with '..'"],
    ] as const) {
      const refused = await apply(file);
      check(
        `${why} is refused, and the message names the field`,
        refused.ended.code !== 0 && refused.ended.output.includes('spec.entrypoint'),
        refused.ended.output,
      );
    }
  },
};

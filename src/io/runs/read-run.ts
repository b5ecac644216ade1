/** The Run of an assignment: from the operator's message, or, when that has none, from the API. */
import * as E from 'fp-ts/lib/Either.js';
import { map, type Observable, of } from 'rxjs';

import { failedPaths } from '../../model/decode-paths.js';
import { runs } from '../../model/resources.js';
import { Run, type Run as RunType } from '../../model/run.js';
import type { KubePort } from '../../ports.js';
import type { AttemptRef } from '../../proto/gen/session.js';

const decode = ({ runName }: AttemptRef, object: unknown): E.Either<string, RunType> => {
  const run = Run.decode(object);
  return E.isRight(run)
    ? run
    : E.left(`Run ${runName} cannot be read: wrong at ${failedPaths(run.left).join(', ')}`);
};

const parse = (ref: AttemptRef, json: Buffer): E.Either<string, RunType> => {
  try {
    return decode(ref, JSON.parse(json.toString()));
  } catch {
    return E.left(`Run ${ref.runName} cannot be read: the assignment is not JSON`);
  }
};

/** One item: the Run, or why there is none. */
export const readRun =
  (kube: Pick<KubePort, 'get'>, namespace: string) =>
  (ref: AttemptRef, json: Buffer): Observable<E.Either<string, RunType>> =>
    json.length > 0
      ? of(parse(ref, json))
      : kube
          .get(runs, { namespace, name: ref.runName })
          .pipe(
            map((answer) => (E.isRight(answer) ? decode(ref, answer.right) : E.left(answer.left.message))),
          );

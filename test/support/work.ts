/**
 * How much work is a piece of code, on any machine? The blocks that V8 counts while it runs: every call, branch and
 * turn of a loop in our own sources and in the ordered map below them. Two runs of the same code count the same.
 */
import { Session } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';

type Coverage = Readonly<{
  result: ReadonlyArray<
    Readonly<{
      url: string;
      functions: ReadonlyArray<Readonly<{ ranges: ReadonlyArray<Readonly<{ count: number }>> }>>;
    }>
  >;
}>;

/** Where work is counted: decisions, their streams and cache, the embedded server, and the tree they keep things in. */
const COUNTED = /\/(src|streams)\/(?!proto\/)|\/sorted-btree\//;

/** Whether counting is possible: a coverage run counts for itself, and two would disturb each other. */
export const canCountWork = process.env.NODE_V8_COVERAGE === undefined;

/** The steps of `work`, which must be synchronous. */
export const countWork = (work: () => void): number => {
  const session = new Session();
  session.connect();
  const post = (method: string, parameters: object = {}): unknown => {
    let answer: unknown;
    // In the same thread it is answered before it returns.
    session.post(method, parameters, (error, result) => {
      if (error) throw new Error(`${method}: ${error.message}`);
      answer = result;
    });
    return answer;
  };
  // Optimised code counts only some of its calls.
  setFlagsFromString('--no-opt');
  try {
    post('Profiler.enable');
    post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    post('Profiler.takePreciseCoverage');
    work();
    const { result } = post('Profiler.takePreciseCoverage') as Coverage;
    return result
      .filter(({ url }) => COUNTED.test(url))
      .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges.map(({ count }) => count)))
      .reduce((sum, count) => sum + count, 0);
  } finally {
    post('Profiler.stopPreciseCoverage');
    session.disconnect();
    setFlagsFromString('--opt');
  }
};

/** Why a source could not be had, in the words of the Run's status. */

/** Thrown within src/io/git alone; its border returns it. */
export class SourceFailure extends Error {
  constructor(
    /** InvalidSpec where the Run's own words are wrong and stay so; PrepareSource where another try may do. */
    readonly reason: 'PrepareSource' | 'InvalidSpec',
    message: string,
  ) {
    super(message);
  }
}

/** How true the numbers of an answer are. */
export interface Precision {
  readonly exact: boolean;
  /** 0 when exact. */
  readonly relativeError: number;
}

export interface Trust {
  /** Everything accepted up to here is counted. */
  readonly completeTo: Date;
  readonly n: number;
  readonly percentiles: Precision;
  readonly users: Precision;
  readonly rawFrom: Date | null;
  readonly aggregatedFrom: Date | null;
  /** Lists of users are made from the rows since then; null without such a list. */
  readonly usersFrom: Date | null;
  /** The range was widened to whole hours, which is all that is left of its edge. */
  readonly hourAligned: boolean;
  readonly start: Date;
  readonly end: Date;
}

export function precisionText({ exact, relativeError }: Precision): string {
  return exact ? "exact" : `within ${(relativeError * 100).toLocaleString("en", { maximumFractionDigits: 2 })}%`;
}

interface Props {
  /** Null is a gap. */
  readonly values: readonly (number | null)[];
  readonly className?: string;
  readonly colour?: string;
}

const width = 100;
const height = 24;

/** A shape without axes, from zero; the numbers are beside it, so readers skip it. */
export function Sparkline({ values, className, colour = "var(--series-requests)" }: Props) {
  const top = Math.max(...values.map((value) => value ?? 0), 0);
  return (
    <svg aria-hidden viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" className={className}>
      {top > 0 &&
        pieces(values, top).map((points) => (
          <polyline
            key={points}
            points={points}
            fill="none"
            stroke={colour}
            strokeWidth="1.5"
            strokeLinejoin="round"
            strokeLinecap="round"
            vectorEffect="non-scaling-stroke"
          />
        ))}
    </svg>
  );
}

/** The unbroken stretches as polylines. A single value between gaps becomes a dot. */
export function pieces(values: readonly (number | null)[], top: number): string[] {
  const step = width / Math.max(1, values.length - 1);
  const found: string[][] = [[]];
  values.forEach((value, index) => {
    if (value === null) found.push([]);
    else found.at(-1)?.push(`${(index * step).toFixed(1)},${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`);
  });
  return found.filter((piece) => piece.length > 0).map((piece) => (piece.length === 1 ? `${piece[0]} ${piece[0]}` : piece.join(" ")));
}

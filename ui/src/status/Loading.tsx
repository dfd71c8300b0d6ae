import classes from './status.module.css';

/** Grey lines in the place of what is coming. */
export function Loading({ lines = 8, height = 14 }: { lines?: number; height?: number }) {
  return (
    <div className={classes.loading} role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} style={{ height, width: `${92 - ((index * 37) % 45)}%` }} />
      ))}
    </div>
  );
}

/** A thin moving line while an answer that is already showing is being renewed. */
export function Busy({ active }: { active: boolean }) {
  return <div className={classes.busy} data-active={active} aria-hidden />;
}

import { useMemo, useState } from "react";
import type { Berth, Ship } from "./harbour";

type Props = { berth: Berth; ships: Ship[]; onMoor?: (ship: Ship) => Promise<void> };

export function BerthCard({ berth, ships, onMoor }: Props) {
  const [open, setOpen] = useState<Record<string, boolean>>({});
  const moored = useMemo(() => ships.filter((ship) => ship.berth === berth.name), [ships, berth]);
  if (!moored.length) return <p className="empty">{berth.name} is free</p>;
  return (
    <section aria-label={`Berth ${berth.name}`}>
      <h2 onClick={() => setOpen({ ...open, [berth.name]: true })}>{berth.name}</h2>
      <ul>{moored.map((ship) => <li key={ship.name}><b>{ship.name}</b> ({ship.length} m)</li>)}</ul>
      {onMoor && <button type="button" onClick={() => void onMoor(ships[0])}>Moor</button>}
    </section>
  );
}

export const label = (ship: Ship): string => `${ship.name} (${ship.kind ?? "unknown"})`;

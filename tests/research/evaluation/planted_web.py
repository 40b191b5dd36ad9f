"""The planted projects of JavaScript and TypeScript, as in ``planted``."""

from tests.research.evaluation.planted import Planted

JAVASCRIPT = Planted(
    path="harbour.js",
    text="""\
const { log } = require("./log");
const TIDE_LIMIT = 3, second = { depthMark: 1 };

export class Berth {
  #hidden = 1;
  capacity = 2;
  constructor(hawser) {
    this.mooringState = hawser;
    const inner = { secret: 1 };
  }
  async moorVessel(vessel) {}
}

function* driftAlong(knots) { var local = knots; }
exports.castOff = (x) => x;
Berth.prototype.setSail = function inside() {};
register({ option: 1 });
""",
    exported="""
    TIDE_LIMIT:2-2 second:2-2 depthMark:2-2 Berth:4-12 capacity:6-6 constructor:7-10
    mooringState:8-8 moorVessel:11-11 driftAlong:14-14 castOff:15-15 setSail:16-16
    inside:16-16
    """,
    held_path="src/arrive.jsx",
    marked="""\
comment #!/usr/bin/env node
import  import { Berth } from "./harbour";
import  const {
import    driftAlong,
import  } = require("./harbour").helpers;
import  export * from "./harbour";
comment /* é castOff, in a comment,
comment    is shown from here on */
blank
none    let { a, ["b"]: renamed, ...rest } = {};
shown   const dock = new Berth(TIDE_LIMIT_2);
first   dock.mooringState = second;
shown   castOff(dock); // castOff
shown   if (dock.mooringState) {
common    console.log("setSail", `moorVessel`);
shown     console.log(`${dock.moorVessel}`);
none    }
infile  const go = (quay, { sail }) => quay + sail;
first   const view = <Berth depthMark={1}>setSail</Berth>;
""",
    bound="a renamed rest dock go quay sail view",
)

TYPESCRIPT = Planted(
    path="harbour.ts",
    text="""\
import type { Flag } from "./flag";

export interface Berth<Cargo> {
  depthMark: number;
  moorVessel?(vessel: Vessel): void;
}
type TideTable = { highWater: number };
export enum Buoy { Green, Red = 2 }
export abstract class Quay extends Berth {
  private readonly bollard = 3;
  protected abstract castOff(rope: string): void;
}
declare function soundHorn(times: number): void;
export namespace Pilots { export const callSign = "x"; }
export const chart = (scale: number): number => { const local = scale; return local; };
""",
    exported="""
    Berth:3-6 depthMark:4-4 moorVessel:5-5 TideTable:7-7 highWater:7-7 Buoy:8-8 Green:8-8 Red:8-8
    Quay:9-12 bollard:10-10 castOff:11-11 soundHorn:13-13 Pilots:14-14 callSign:14-14 chart:15-15
    """,
    held_path="arrive.ts",
    marked="""\
import  import { Berth, Buoy as Mark } from "./harbour";
import  import type {
import    TideTable,
import  } from "./harbour";
comment // höchste Flut: highWater
blank
shown   export function dock(berth: Berth<string>, tide: TideTable): number {
shown     const depth = berth["é"] ?? tide.highWater;
first     berth.moorVessel!(depth as any);
first     if (Mark.Green === Buoy.Green) {
common      return Number(JSON.parse("castOff"));
none      }
infile    return depth;
none    }
common  const limit: Promise<void> = Promise.resolve();
first   const $made = chart(3);
shown   chart(4);
infile  type Local<Item> = Item | typeof $made;
""",
    bound="dock berth tide depth limit $made Local Item",
)

TSX = Planted(
    path="panel.tsx",
    text="""\
export const HarbourPanel = ({ berths }: PanelProps) => {
  return <ul>{berths}</ul>;
};
export type PanelProps = { berths: string[]; onMoor: () => void };
""",
    exported="HarbourPanel:1-3 PanelProps:4-4 berths:4-4 onMoor:4-4",
    held_path="page.tsx",
    marked="""\
import  import { HarbourPanel } from "./panel";
none    export default function Page() {
none      return (
shown       <HarbourPanel
first         onMoor={() => undefined}
none        >
common        <span className="é">PanelProps</span>
none        </HarbourPanel>
none      );
none    }
""",
    bound="Page",
)

WEB = {"javascript": JAVASCRIPT, "typescript": TYPESCRIPT, "tsx": TSX}

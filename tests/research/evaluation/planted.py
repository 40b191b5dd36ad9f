"""Two files in each language: one that is remembered, and one whose lines are asked for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """A project.

    Attributes:
        path: the file that is remembered.
        text: of this file.
        exported: each name that it defines for others, with the first and last line of it.
        held_path: the file that is held out.
        marked: its lines, each behind its class: ``first`` and ``shown`` (in-project), ``infile``,
            ``common``, ``none`` (random alone), ``import`` (random alone), ``comment`` or ``blank``
            (not to be asked for).
        bound: every name that the held-out file gives a value.
    """

    path: str
    text: str
    exported: str
    held_path: str
    marked: str
    bound: str

    @property
    def held_text(self) -> str:
        """The held-out file itself."""
        return "".join(f"{line[8:]}\n" for line in self.marked.splitlines())

    @property
    def kinds(self) -> list[str]:
        """The class of each of its lines."""
        return [line[:8].strip() for line in self.marked.splitlines()]


GO = Planted(
    path="harbour/berth.go",
    text="""\
package harbour

import "fmt"

// TideLimit is a limit.
const TideLimit = 3

var (
	first, secondMark = 1, 2
)

type Berth struct {
	DepthMark, Width int
	fmt.Stringer
}

type Moorer interface {
	MoorVessel(vessel string) (tied bool)
}

func (berth *Berth) CastOff(rope int) error {
	local := rope
	return nil
}

func NewBerth[Cargo any](knots int) (made *Berth) { return nil }
""",
    exported="""
    TideLimit:6-6 first:9-9 secondMark:9-9 Berth:12-15 DepthMark:13-13 Width:13-13 Moorer:17-19
    MoorVessel:18-18 CastOff:21-24 NewBerth:26-26
    """,
    held_path="port/arrive.go",
    marked="""\
import  package port
blank
import  import (
import  	"example.org/harbour"
import  )
blank
comment /*
comment é Moorer
comment */
common  func arrive(depth int, names ...string) (err error) {
first   	berth := harbour.NewBerth(depth)
first   	berth.DepthMark = harbour.TideLimit
shown   	for i, name := range berth.DepthMark {
infile  		_, rest := name, i
first   		rest.CastOff(/* é */ berth.MoorVessel("secondMark"))
none    	}
common  	fmt.Println(len("é"))
first   	var m harbour.Moorer = harbour.Berth{DepthMark: 3}
infile  	switch kind := m.(type) {
none    	}
none    	return
none    }
""",
    bound="arrive depth names err berth i name rest m kind",
)

RUST = Planted(
    path="src/harbour.rs",
    text="""\
use std::fmt;
mod tides;

pub const TIDE_LIMIT: usize = 3;

/// A berth.
#[derive(Debug)]
pub struct Berth<Cargo> {
    pub depth_mark: Cargo,
}

pub enum Buoy { Green, Red(u8) }

pub trait Moor {
    type Rope;
    fn moor_vessel(&self, vessel: u8) -> bool;
}

impl Moor for Berth<u8> {
    fn moor_vessel(&self, vessel: u8) -> bool {
        let tied = vessel;
        tied > 1
    }
}

macro_rules! sound_horn { ($e:expr) => { $e } }
mod piers { pub static LONGEST: u8 = 1; }
""",
    exported="""
    TIDE_LIMIT:4-4 Berth:8-10 depth_mark:9-9 Buoy:12-12 Green:12-12 Red:12-12 Moor:14-17 Rope:15-15
    moor_vessel:16-16 moor_vessel:20-23 sound_horn:26-26 piers:27-27 LONGEST:27-27
    """,
    held_path="src/arrive.rs",
    marked="""\
import  use crate::harbour::{
import      Berth, Buoy,
import  };
import  mod logs;
comment /// Über `Moor`.
comment //! and more
blank
common  #[derive(Clone, Debug)]
shown   pub struct Port<'a, T: Moor> { berth: &'a Berth<T> }
blank
shown   fn dock<'a>(berth: &'a Berth<u8>, (first, second): (u8, u8)) -> Option<u8> {
first       let limit = TIDE_LIMIT;
infile      match berth.kind {
first           Buoy::Green => println!("é {}", berth.depth_mark),
first           Red(inner) if inner > 1 => None,
none            other @ 3 => {}
shown           Berth { depth_mark: depth } => depth,
none        }
infile      let add = |left, right: u8| left + limit;
first       sound_horn!(first);
first       berth.moor_vessel(second)
none    }
""",
    bound="Port T dock berth first second limit inner other depth add left right",
)

JAVA = Planted(
    path="harbour/Berth.java",
    text="""\
package harbour;

import java.util.List;

@Deprecated
public class Berth<Cargo> {
    static final int TIDE_LIMIT = 3, second = 4;
    static { int inStatic = 1; }
    { int inBlock = 1; }

    Berth(int knots) { int local = knots; }

    public void moorVessel(String vessel) throws TideException {
        Runnable run = () -> {};
    }
}

record Chart(int scaleOf, int sheet) {}
enum Buoy { GREEN, RED }
interface Moorer { void castOff(int rope); }
@interface Pilot { int callSign() default 1; }
""",
    exported="""
    Berth:5-16 TIDE_LIMIT:7-7 second:7-7 Berth:11-11 moorVessel:13-15 Chart:18-18 scaleOf:18-18
    sheet:18-18 Buoy:19-19 GREEN:19-19 RED:19-19 Moorer:20-20 castOff:20-20 Pilot:21-21
    callSign:21-21
    """,
    held_path="port/Arrive.java",
    marked="""\
import  package port;
import  import harbour.Berth;
import  import static harbour.Berth.TIDE_LIMIT;
blank
comment /** é {@link Moorer}
comment  * moorVessel
comment  */
none    class Arrive {
common      @Override
first       @Pilot(callSign = 2)
shown       void dock(Berth<String> berth, Moorer... moorers) {
shown           int depth = TIDE_LIMIT;
infile          for (var one : moorers) { berth = one; }
shown           berth.moorVessel("é castOff");
common          System.out.println("x");
shown           Runnable later = port -> port.castOff(1);
first           if (berth instanceof Chart chart) {}
first           switch (berth) { case Chart(int sheet_) -> {} case Buoy buoy -> {} }
infile          try (var open = later) { } catch (Exception problem) { }
none        }
none    }
""",
    bound="Arrive dock berth moorers depth one later port chart sheet_ buoy open problem",
)

C = Planted(
    path="harbour.h",
    text="""\
#ifndef HARBOUR_H
#define HARBOUR_H
#include <stddef.h>
#define TIDE_LIMIT 3
#define MOOR_ALL(list) moor(list)

struct hawser;

typedef struct berth {
    int depth_mark, *widths[3];
    void (*on_moor)(struct hawser *rope);
} Berth;

enum buoy { BUOY_GREEN, BUOY_RED = 2 };

extern int tide_gauge;
int moor_vessel(Berth *target, const char *vessel);
static inline int cast_off(int rope) { int local = rope; return local; }
#endif
""",
    exported="""
    HARBOUR_H:2-2 TIDE_LIMIT:4-4 MOOR_ALL:5-5 berth:9-12 depth_mark:10-10 widths:10-10
    on_moor:11-11 Berth:9-12 buoy:14-14 BUOY_GREEN:14-14 BUOY_RED:14-14 tide_gauge:16-16
    moor_vessel:17-17 cast_off:18-18
    """,
    held_path="arrive.c",
    marked="""\
import  #include <stdio.h>
import  #include "harbour.h"
comment /* é moor_vessel */ // twice
blank
first   static int dock(Berth *ship, struct hawser *hawsers) {
shown       int depth = moor_vessel(ship, "é"), *count;
first       ship->depth_mark = TIDE_LIMIT;
first       MOOR_ALL(hawsers);
common      printf("%d cast_off\\n", 3);
infile      return depth + dock(ship, 0);
none    }
first   struct berth other;
none    char text[] = "tide_gauge";
""",
    bound="dock ship hawsers depth count other text",
)

CPP = Planted(
    path="harbour.h",
    text="""\
#include <vector>

namespace harbour {

using Depth = int;
class Hawser;

template <typename Cargo>
class Berth : public Quay {
 public:
  explicit Berth(int knots) : depth_mark_(knots) {}
  virtual void moorVessel(const std::string& vessel) = 0;
  int castOff() const { auto local = 1; return local; }

 private:
  int depth_mark_ = 3;
};

enum class Buoy { kGreen };
}  // namespace harbour
""",
    exported="""
    harbour:3-20 Depth:5-5 Berth:8-17 Berth:11-11 moorVessel:12-12 castOff:13-13 depth_mark_:16-16
    Buoy:19-19 kGreen:19-19
    """,
    held_path="port/arrive.cpp",
    marked="""\
import  #include "harbour.h"
import  using namespace harbour;
import  using harbour::Berth;
comment // é Buoy
blank
shown   template <typename Item> int dock(Berth<Item>& ship, int extra = 1) {
first     ship.moorVessel("castOff");
first     for (const auto& one : ship.depth_mark_) {
shown       auto [left, right] = Buoy::kGreen_;
first       auto call = [&left](int port) { return port + Buoy::kGreen; };
none      }
common    std::cout << std::endl;
infile    return extra;
none    }
shown   void Berth<int>::setSail(Depth_ limit) {}
infile  int Port::wide = 3, high(wide);
""",
    bound="dock Item ship extra one left right call port setSail limit wide high",
)

OTHERS = {"go": GO, "rust": RUST, "java": JAVA, "c": C, "cpp": CPP}

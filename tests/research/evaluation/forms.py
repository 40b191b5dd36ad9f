"""Forms of definition, one a line: code, ``##``, names for others, ``##``, names for itself.

Behind a third ``##`` stand the names that it uses, where that is worth a look.
"""

FORMS = {
    ".js": """
        function aaa() { var bbb; } ## aaa ## bbb
        function* aaa(bbb) { var ccc; } ## aaa ## bbb ccc
        const aaa = class Bbb {}; ## aaa Bbb ##
        const aaa = function* bbb(ccc) { let ddd; }; ## aaa bbb ## ccc ddd
        const aaa = function bbb(ccc) { let ddd; }; ## aaa bbb ## ccc ddd
        const aaa = bbb => { let ccc; }; ## aaa ## bbb ccc
        const [aaa, [bbb = ccc]] = []; ## aaa bbb ## ## ccc
        const { aaa = 1, bbb: ccc, ...ddd } = {}; ## aaa ccc ddd ## ## bbb
        for (const aaa of bbb) {} ## aaa ##
        try {} catch (aaa) { const bbb = 1; } ## ## aaa bbb
        class Aaa { static { const bbb = 1; } } ## Aaa ## bbb
        module.exports.aaa = 1; ## aaa ##
        module.exports = { aaa: 1, bbb }; ## aaa ## ## module exports bbb
        Aaa.bbb = 1; ## ## ## Aaa bbb
        Aaa.prototype.bbb = 1; ## bbb ## ## Aaa prototype
        register({ aaa: 1 }); ## ## ## register aaa
        const aaa = <bbb ccc={1}></bbb>; ## aaa ## ## bbb ccc
        aaa: for (;;) break aaa; ## ##
        class Aaa { #bbb = this.#ccc; } ## Aaa ## #bbb ## #ccc
    """,
    ".ts": """
        function aaa(bbb?: number, { ccc }: Ddd = {}) { } ## aaa ## bbb ccc ## Ddd
        type Aaa = { [bbb: string]: number }; ## Aaa ## bbb
        type Aaa = { [Bbb in Ccc]: Ddd }; ## Aaa ## Bbb ## Ccc Ddd
        type Aaa = (bbb: number) => void; ## Aaa ## bbb
        type Aaa = new (bbb: number) => Ccc; ## Aaa ## bbb ## Ccc
        interface Aaa { (bbb: number): void; new (ccc: number): Ddd } ## Aaa ## bbb ccc ## Ddd
        interface Aaa<Bbb> { ccc: { ddd: number } } ## Aaa ccc ddd ## Bbb
        declare module Aaa { const bbb: number; } ## Aaa bbb ##
        class Aaa { bbb(ccc: number) { let ddd; } } ## Aaa bbb ## ccc ddd
        class Aaa { bbb = 1; ccc() { this.bbb = 2; } } ## Aaa bbb ccc ## ## bbb
        module.exports.aaa = 1; exports.bbb = 1; ## aaa bbb ##
        register({ aaa: 1 }, function bbb() {}); ## ## bbb ## register aaa
        const aaa = { bbb: 1, ccc() { let ddd; } }; ## aaa bbb ccc ## ddd
        const aaa = <Bbb>ccc; ## aaa ## ## Bbb ccc
    """,
    ".tsx": """
        const aaa = <bbb ccc={1}></bbb>; ## aaa ## ## bbb ccc
    """,
    ".go": """
        var aaa = func(bbb int) { ccc := 1 } ## aaa ## bbb ccc
        type Aaa = Bbb ## Aaa ## ## Bbb
        type Aaa func(bbb int) ## Aaa ## bbb
        type Aaa[Bbb any] struct{} ## Aaa ## Bbb
        func aaa() { select { case bbb := <-ccc: } } ## aaa ## bbb ## ccc
        func aaa() { goto bbb; bbb: return } ## aaa ##
        func aaa() { bbb.ccc = 1; ddd = 2 } ## aaa ## ## bbb ccc ddd
    """,
    ".rs": """
        union Aaa { bbb: u8 } ## Aaa bbb ##
        struct Aaa<Bbb, const CCC: usize>; ## Aaa ## Bbb CCC
        impl Aaa { type Bbb = u8; const CCC: u8 = 1; } ## Bbb CCC ## ## Aaa
        static AAA: fn(u8) = |bbb| { let ccc = 1; }; ## AAA ## bbb ccc
        type Aaa = fn(bbb: u8); ## Aaa ## bbb
        fn aaa() { match x { ref bbb => 1, [ccc, mut ddd] => 2 } } ## aaa ## bbb ccc ddd
        fn aaa() { match x { Bbb(ccc) | Ddd(ccc) => 1, &eee => 2, f => 3 } } ## aaa ## ccc eee f
        fn aaa() { match x { BBB | CCC => 1, ddd @ 1 => 2 } } ## aaa ## ddd ## x BBB CCC
        fn aaa() { match x { bbb | ccc => 1 } } ## aaa ## bbb ccc
        fn aaa() { for bbb in ccc {} } ## aaa ## bbb ## ccc
        fn aaa() { if let bbb = ccc {} } ## aaa ## bbb ## ccc
        fn aaa() { let mut bbb = 1; let Some(mut ccc) = 1; } ## aaa ## bbb ccc ## Some
        fn aaa<'bbb>(ccc: &'bbb u8) {} ## aaa ## ccc ##
        fn aaa() { Bbb { ccc: 1, ddd } } ## aaa ## ## Bbb ccc ddd
    """,
    ".java": """
        class Aaa<Bbb> { Ccc ddd = (eee, fff) -> { int ggg; }; } ## Aaa ddd ## Bbb eee fff ggg
        record Aaa(int bbb) { Aaa { int ccc; } } ## Aaa bbb Aaa ## ccc
        class Aaa { { int bbb; } static { int ccc; } } ## Aaa ## bbb ccc
        class A { <Bbb> void ccc(Bbb ddd) { this.eee = ddd; } } ## ccc ## A Bbb ddd ## Bbb eee ddd
    """,
    ".c": """
        int (aaa) = 3; typedef int bbb; ## aaa bbb ##
        int aaa = sizeof(int (*)(int bbb)); ## aaa ## bbb
        struct aaa { int bbb; } *ccc; ## aaa bbb ccc ##
        union aaa { int bbb; }; enum ccc { DDD = 1 }; ## aaa bbb ccc DDD ##
        union aaa bbb; enum ccc ddd; struct eee; ## bbb ddd ## ## aaa ccc eee
        typedef int (*aaa)(int bbb); ## aaa ## bbb
        typedef struct { int aaa[2]; } bbb, *ccc; ## aaa bbb ccc ##
        int (*aaa(int bbb))(int ccc); ## aaa ## bbb ccc
        struct aaa *bbb(void) { int ccc = 1; } ## bbb ## ccc ## aaa
        void aaa(void (*)(int bbb)); ## aaa ## bbb
        int aaa [[ddd]] = 3, bbb; ## aaa bbb ##
        int aaa(int bbb, char *ccc[]) { eee: goto eee; } ## aaa ## bbb ccc
        #define AAA 3 ## AAA ##
        #define AAA(bbb) ccc ## AAA ## bbb
        enum aaa bbb(void) { ccc->ddd = eee; } ## bbb ## ## aaa ccc ddd eee
    """,
    ".cpp": """
        typedef int aaa; int (bbb)(int ccc) { } ## aaa bbb ## ccc
        int aaa = sizeof(int (*)(int bbb)); ## aaa ## bbb
        struct aaa { int bbb; } *ccc; ## aaa bbb ccc ##
        union aaa { int bbb; }; enum ccc { DDD = 1 }; ## aaa bbb ccc DDD ##
        union aaa bbb; enum ccc ddd; class eee; ## bbb ddd ## ## aaa ccc eee
        struct aaa { int bbb; }; struct aaa ccc; ## aaa bbb ccc ## ## aaa
        class Aaa { int bbb() { int ccc; } enum { DDD }; }; ## Aaa bbb DDD ## ccc
        typedef int (*aaa)(int bbb); ## aaa ## bbb
        int aaa[2], *bbb, ccc [[ddd]]; ## aaa bbb ccc ##
        int aaa(int bbb, char *ccc[]) { int ddd; } ## aaa ## bbb ccc ddd
        void aaa(void (*)(int bbb)); ## aaa ## bbb
        #define AAA 3 ## AAA ##
        #define AAA(bbb) ccc ## AAA ## bbb
        namespace aaa = bbb::ccc; namespace ddd {} ## aaa ddd ## ## bbb ccc
        template <typename Aaa = int, typename... Bbb, class C> struct D; ## ## Aaa Bbb C ## D
        template <typename Aaa> concept Bbb = true; ## Bbb ## Aaa
        template <int aaa = 3> int bbb(); ## bbb ## aaa
        template <typename... Aaa> void bbb(Aaa... ccc); ## bbb ## Aaa ccc
        using Aaa = int; ## Aaa ##
        auto aaa = [](int bbb) { int ccc; }; ## aaa ## bbb ccc
        int& aaa = bbb; auto [ccc, ddd] = eee; ## aaa ccc ddd ## ## bbb eee
        int aaa() { for (auto* bbb : ccc) {} for (int ddd : ccc) {} } ## aaa ## bbb ddd
        int Aaa::bbb() { int ccc; } ## bbb ## ccc ## Aaa
        int Aaa::Bbb::ccc = 3; ## ccc ## ## Aaa Bbb
        int aaa = Bbb::ccc; ## aaa ## ## Bbb ccc
        int aaa() { ccc.ddd = [&eee](int fff) { return 1; }; } ## aaa ## fff ## ccc ddd eee
    """,
    ".h": """
        struct aaa { int bbb; }; ## aaa bbb ##
        class Aaa { public: int bbb(int ccc); }; ## Aaa bbb ## ccc
        int class = 1, new = 2, private = 3, template = 4; ## class new private template ##
    """,
}
IMPORTS = {
    ".js": """
        import aaa, { bbb as ccc } from "ddd";
        var { aaa } = require("bbb");
        const aaa = require("bbb").ccc;
        const aaa = require("bbb")(ccc);
        export { aaa } from "bbb";
    """,
    ".ts": """
        import aaa = require("bbb");
        import type { Aaa } from "bbb";
        export type { Aaa } from "bbb";
        export * as aaa from "bbb";
        const { aaa } = require("bbb"), ccc = require("ddd");
        var aaa = require("bbb");
    """,
    ".tsx": """
        import "aaa.css";
    """,
    ".go": """
        package aaa
        import "aaa"
        import bbb "aaa"
    """,
    ".rs": """
        use aaa::{bbb as ccc, *};
        pub use aaa::bbb;
        extern crate aaa;
        mod aaa;
        pub mod aaa;
    """,
    ".java": """
        package aaa.bbb;
        import static aaa.Bbb.*;
    """,
    ".c": """
        #include <aaa.h>
        #include "aaa/bbb.h"
    """,
    ".cpp": """
        #include <aaa>
        using namespace aaa;
        using aaa::bbb;
    """,
    ".h": """
        #include <aaa.h>
        using aaa::bbb;
    """,
}
NO_IMPORTS = {
    ".js": """
        const aaa = bbb.require("ccc");
        const aaa = require("bbb"), ccc = 1;
        export { aaa };
        const aaa = import.meta.url;
    """,
    ".ts": """
        export default aaa;
        export const aaa = 1;
    """,
    ".rs": """
        mod aaa { }
    """,
    ".cpp": """
        using aaa = bbb;
        #define aaa
    """,
}

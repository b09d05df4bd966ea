// Command gen writes the assembly of package kernel: kernels_amd64.s and its Go declarations. It is a module of its own,
// so that nothing else depends on what it needs.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	makeConstants()
	for rows := 1; rows <= 6; rows++ {
		tile(rows, 2, false)
		tile(rows, 2, true)
	}
	tile(1, 8, false)
	elementwise("expFast", "dst[i] = exp(src[i]); src is held to [-87, 88].", exp)
	elementwise("sigmoidFast", "dst[i] = 1 / (1 + exp(-src[i])).", sigmoid)
	elementwise("tanhFast", "dst[i] = tanh(src[i]).", tanh)
	axpy()
	dot()
	rowDot()
	rowAxpy()
	lstmForward()
	lstmBackward()
	scoreForward()
	scoreBackward()
	adam()
	Generate()
}

// constants are vectors of eight equal numbers, by name.
var constants = map[string]Mem{}

func vector(name string, bits uint32) {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(bits))
	}
	constants[name] = m
}

func makeConstants() {
	f := func(name string, x float64) { vector(name, math.Float32bits(float32(x))) }
	f("one", 1)
	f("two", 2)
	f("most", 88)
	f("least", -87)
	f("log2e", math.Log2E)
	// ln 2 in two parts: the first has so few bits that its products with small integers are exact.
	hi := math.Float32frombits(math.Float32bits(math.Ln2) &^ 0xffff)
	f("ln2hi", float64(hi))
	f("ln2lo", math.Ln2-float64(hi))
	factorial := 1.0
	for k := 2; k <= 7; k++ { // the Taylor series of exp: its rest is below 1e-8 where |r| is at most ln(2)/2
		factorial *= float64(k)
		f(fmt.Sprintf("c%d", k), 1/factorial)
	}
	vector("bias", 127)
	m := GLOBL("tailmask", RODATA|NOPTR) // eight ones, then eight zeros: a window of it masks the last lanes
	for i := range 16 {
		v := uint32(0)
		if i < 8 {
			v = math.MaxUint32
		}
		DATA(4*i, U32(v))
	}
	constants["tailmask"] = m
}

func c(name string) Mem { return constants[name] }

// loaded is a register that holds a constant.
func loaded(name string) VecVirtual {
	r := YMM()
	VMOVUPS(c(name), r)
	return r
}

// start begins a function of pointers and lengths.
func start(name, doc, signature string) {
	TEXT(name, NOSPLIT, "func("+signature+")")
	Doc(name + ": " + doc)
	Pragma("noescape")
}

func ptr(name string) Register { return Load(Param(name), GP64()) }

// broadcast fills a register with a float32 parameter.
func broadcast(name string) VecVirtual {
	r := YMM()
	x := Load(Param(name), XMM())
	VBROADCASTSS(x, r)
	return r
}

// sumLanes adds the eight lanes of v; the sum is in the lowest lane of the result.
func sumLanes(v VecVirtual) VecVirtual {
	x, y := XMM(), XMM()
	VEXTRACTF128(Imm(1), v, x)
	VADDPS(v.AsX(), x, x)
	VMOVHLPS(x, x, y)
	VADDPS(x, y, x)
	VMOVSHDUP(x, y)
	VADDSS(x, y, x)
	return x
}

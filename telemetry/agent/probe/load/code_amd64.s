#include "textflag.h"

// Each ADDQ of 32 bits to a register takes seven bytes, so that few fit into what the decoder keeps decoded.
#define FOUR ADDQ $0x12345678, CX; ADDQ $0x12345678, DX; ADDQ $0x12345678, SI; ADDQ $0x12345678, DI
#define SIXTEEN FOUR; FOUR; FOUR; FOUR
#define SIXTYFOUR SIXTEEN; SIXTEEN; SIXTEEN; SIXTEEN
#define KIBS3 SIXTYFOUR; SIXTYFOUR; SIXTYFOUR; SIXTYFOUR; SIXTYFOUR; SIXTYFOUR; SIXTYFOUR; SIXTYFOUR; SIXTYFOUR
#define KIBS16 KIBS3; KIBS3; KIBS3; KIBS3

// func instructions16k()
TEXT ·instructions16k(SB), NOSPLIT, $0-0
	KIBS16
	RET

// func instructions64k()
TEXT ·instructions64k(SB), NOSPLIT, $0-0
	KIBS16
	KIBS16
	KIBS16
	KIBS16
	RET

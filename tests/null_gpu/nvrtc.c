/* A run-time compiler whose programs are empty. */
#include <stddef.h>
#include <string.h>

#define SIZE 64

int nvrtcCreateProgram(void **program) { *program = (void *)8; return 0; }
int nvrtcCompileProgram(void) { return 0; }
int nvrtcDestroyProgram(void **program) { return 0; }
int nvrtcAddNameExpression(void) { return 0; }
int nvrtcGetCUBINSize(void *program, size_t *size) { *size = SIZE; return 0; }
int nvrtcGetCUBIN(void *program, char *code) { memset(code, 0, SIZE); return 0; }
int nvrtcGetPTXSize(void *program, size_t *size) { return nvrtcGetCUBINSize(program, size); }
int nvrtcGetPTX(void *program, char *code) { return nvrtcGetCUBIN(program, code); }
int nvrtcGetProgramLogSize(void *program, size_t *size) { *size = 1; return 0; }
int nvrtcGetProgramLog(void *program, char *log) { *log = 0; return 0; }
int nvrtcGetLoweredName(void *program, const char *name, const char **lowered) { *lowered = "kernel"; return 0; }
int nvrtcGetNumSupportedArchs(int *count) { *count = 1; return 0; }
int nvrtcGetSupportedArchs(int *archs) { *archs = 90; return 0; }
int nvrtcVersion(int *major, int *minor) { *major = 13; *minor = 0; return 0; }
const char *nvrtcGetErrorString(int error) { return "error of the null GPU"; }

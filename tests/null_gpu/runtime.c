/* A CUDA runtime with one device that computes nothing. Memory is address space: the host never touches it, and what is
   copied from it is zero. What is neither here nor in streams.c does nothing and succeeds. */
#include "streams.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TOTAL_MEMORY (79ULL << 30)
#define RESERVED (600ULL << 20) /* what a context takes */
#define ADDRESSES (1ULL << 42)
#define GRAIN (2ULL << 20)
#define MAX_BLOCKS (1 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *arena;
static size_t next_offset, used;
static struct { char *start; size_t size; } blocks[MAX_BLOCKS];
static int num_blocks;
static struct { char *start; size_t size; } pinned[MAX_BLOCKS];
static int num_pinned;

static int on_device(const void *p) {
    return arena && (char *)p >= arena && (char *)p < arena + ADDRESSES;
}

static int is_pinned(const void *p) {
    for (int i = 0; i < num_pinned; i++)
        if ((char *)p >= pinned[i].start && (char *)p < pinned[i].start + pinned[i].size) return 1;
    return 0;
}

cudaError_t cudaGetDeviceCount(int *count) { *count = 1; return cudaSuccess; }
cudaError_t cudaGetDevice(int *device) { *device = 0; return cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device ? cudaErrorInvalidDevice : cudaSuccess; }
cudaError_t cudaDriverGetVersion(int *version) { *version = CUDART_VERSION; return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { *version = CUDART_VERSION; return cudaSuccess; }

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "null GPU");
    p->major = 9;
    p->multiProcessorCount = 132;
    p->totalGlobalMem = TOTAL_MEMORY;
    p->warpSize = 32;
    p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxBlocksPerMultiProcessor = 32;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->sharedMemPerBlock = 49152;
    p->sharedMemPerBlockOptin = 232448;
    p->sharedMemPerMultiprocessor = 233472;
    p->l2CacheSize = 52428800;
    p->textureAlignment = 512;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrMultiProcessorCount: *value = 132; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxRegistersPerBlock: *value = 65536; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 232448; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 233472; break;
    case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
    case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *value = 65535; break;
    default: *value = 0;
    }
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t size) {
    size_t rounded = (size + GRAIN - 1) & ~(GRAIN - 1);
    cudaError_t error = may_wait();
    if (error) return error;
    pthread_mutex_lock(&lock);
    if (!arena) arena = mmap(0, ADDRESSES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED || used + rounded > TOTAL_MEMORY - RESERVED || num_blocks == MAX_BLOCKS
        || next_offset + rounded > ADDRESSES) {
        *p = 0;
    } else {
        *p = blocks[num_blocks].start = arena + next_offset;
        blocks[num_blocks++].size = rounded;
        next_offset += rounded;
        used += rounded;
    }
    pthread_mutex_unlock(&lock);
    return *p ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void *p) {
    cudaError_t error = may_wait();
    if (error) return error;
    pthread_mutex_lock(&lock);
    for (int i = num_blocks - 1; p && i >= 0; i--)
        if (blocks[i].start == p) {
            used -= blocks[i].size;
            blocks[i] = blocks[--num_blocks];
            break;
        }
    pthread_mutex_unlock(&lock);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    *total = TOTAL_MEMORY;
    *available = TOTAL_MEMORY - RESERVED - used;
    return cudaSuccess;
}

static cudaError_t copy(void *to, const void *from, size_t size) {
    if (on_device(to)) return cudaSuccess;
    if (on_device(from)) memset(to, 0, size);
    else memmove(to, from, size);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind kind) {
    cudaError_t error = may_wait();
    return error ? error : copy(to, from, size);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream) {
    if (!is_recorded(stream)) return copy(to, from, size);
    int pageable = !(on_device(to) || is_pinned(to)) || !(on_device(from) || is_pinned(from));
    return pageable ? refuse(cudaErrorStreamCaptureUnsupported) : enqueue(stream);
}

cudaError_t cudaHostAlloc(void **p, size_t size, unsigned flags) {
    cudaError_t error = may_wait();
    if (error) return error;
    if (num_pinned == MAX_BLOCKS || posix_memalign(p, 4096, size ? size : 1)) return failed(cudaErrorMemoryAllocation);
    pinned[num_pinned].start = *p;
    pinned[num_pinned++].size = size;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p) {
    for (int i = num_pinned - 1; i >= 0; i--)
        if (pinned[i].start == p) {
            pinned[i] = pinned[--num_pinned];
            break;
        }
    free(p);
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *p) {
    memset(a, 0, sizeof *a);
    a->type = on_device(p) ? cudaMemoryTypeDevice : is_pinned(p) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
    if (on_device(p)) a->devicePointer = (void *)p;
    else a->hostPointer = (void *)p;
    return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *a, const void *function) {
    memset(a, 0, sizeof *a);
    a->maxThreadsPerBlock = 1024;
    a->numRegs = 32;
    a->binaryVersion = a->ptxVersion = 90;
    a->maxDynamicSharedSizeBytes = 232448;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, const void *f, int threads, size_t shared) {
    *n = 2;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *f, int threads, size_t shared,
                                                                   unsigned flags) {
    *n = 2;
    return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer) { *can = 0; return cudaSuccess; }
cudaError_t cudaDeviceGetPCIBusId(char *id, int size, int device) { strncpy(id, "0000:00:00.0", size); return cudaSuccess; }

static int succeed(void) { return 0; }
static int context_is_active(int device, unsigned *flags, int *active) { *flags = 0; *active = 1; return 0; }
static int current_context(void **context) { *context = blocks; return 0; }

cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version,
                                             unsigned long long flags, enum cudaDriverEntryPointQueryResult *result) {
    *function = succeed;
    if (!strcmp(name, "cuDevicePrimaryCtxGetState")) *function = context_is_active;
    if (!strcmp(name, "cuCtxGetCurrent")) *function = current_context;
    if (result) *result = cudaDriverEntryPointSuccess;
    return cudaSuccess;
}

int cublasLtMatmulAlgoGetHeuristic(void *handle, void *operation, void *a, void *b, void *c, void *d, void *preference,
                                   int wanted, void *results, int *found) {
    memset(results, 0, 64);
    *found = 1;
    return 0;
}

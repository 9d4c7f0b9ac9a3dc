/* Streams and events, which never wait, and CUDA graphs, which do nothing when they are launched. While streams are
   recorded, refused is what a real device refuses; but streams that joined need not come back to the one that began. */
#include "streams.h"
#include <pthread.h>
#include <stdlib.h>

#define ELSEWHERE 1ULL /* an event of work that is not recorded */

/* A stream: the recording that it takes part in, or once took. An event: the one that it was last recorded in. */
struct handle { unsigned long long recording; };

static struct { /* one at a time; its number is 0 between two */
    unsigned long long id;
    enum cudaStreamCaptureMode mode;
    cudaStream_t origin;
    pthread_t thread;
    int invalid;
    size_t nodes;
} now;
static unsigned long long last_id = ELSEWHERE;
static __thread enum cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;
static __thread struct { dim3 grid, block; size_t shared; cudaStream_t stream; } next_launch;
static cudaError_t last_error;

cudaError_t cudaPeekAtLastError(void) { return last_error; }
cudaError_t cudaGetLastError(void) { cudaError_t e = last_error; last_error = cudaSuccess; return e; }
cudaError_t failed(cudaError_t error) { return last_error = error; }
cudaError_t refuse(cudaError_t error) { now.invalid = 1; return failed(error); }

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnmatched: return "capture was not ended in the same stream as it began";
    case cudaErrorStreamCaptureIsolation: return "dependency created on uncaptured work in another stream";
    case cudaErrorStreamCaptureImplicit: return "operation would make the legacy stream depend on a capturing stream";
    case cudaErrorCapturedEvent: return "operation not permitted on an event last recorded in a capturing stream";
    case cudaErrorStreamCaptureWrongThread: return "attempt to terminate a capture sequence from another thread";
    default: return "error of the null GPU";
    }
}

static int is_default(cudaStream_t stream) { return stream <= (cudaStream_t)2; }
int is_recorded(cudaStream_t s) { return now.id && !is_default(s) && ((struct handle *)s)->recording == now.id; }

cudaError_t enqueue(cudaStream_t stream) {
    if (!is_recorded(stream)) return cudaSuccess;
    now.nodes++;
    return now.invalid ? failed(cudaErrorStreamCaptureInvalidated) : cudaSuccess;
}

cudaError_t may_wait(void) {
    int others_too = now.mode == cudaStreamCaptureModeGlobal && thread_mode == cudaStreamCaptureModeGlobal;
    int relaxed = now.mode == cudaStreamCaptureModeRelaxed || thread_mode == cudaStreamCaptureModeRelaxed;
    if (!now.id || relaxed || !(others_too || pthread_equal(now.thread, pthread_self()))) return cudaSuccess;
    return refuse(cudaErrorStreamCaptureUnsupported);
}

static cudaError_t new_handle(void **handle) {
    *handle = calloc(1, sizeof(struct handle));
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *stream) { return new_handle((void **)stream); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) { return new_handle((void **)stream); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority) {
    return new_handle((void **)stream);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
}
cudaError_t cudaStreamGetPriority(cudaStream_t stream, int *priority) { *priority = 0; return cudaSuccess; }

cudaError_t cudaDeviceSynchronize(void) { return now.id ? refuse(cudaErrorStreamCaptureUnsupported) : cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return is_recorded(stream) ? refuse(cudaErrorStreamCaptureUnsupported) : may_wait();
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }

cudaError_t cudaEventCreate(cudaEvent_t *event) { return new_handle((void **)event); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) { return new_handle((void **)event); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    ((struct handle *)event)->recording = is_recorded(stream) ? now.id : ELSEWHERE;
    return enqueue(stream);
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
    if (flags != cudaEventRecordExternal) return cudaEventRecord(event, stream);
    ((struct handle *)event)->recording = ELSEWHERE;
    return enqueue(stream);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return ((struct handle *)event)->recording > ELSEWHERE ? refuse(cudaErrorCapturedEvent) : may_wait();
}
cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b) {
    *ms = 1;
    return ((struct handle *)a)->recording > ELSEWHERE ? refuse(cudaErrorCapturedEvent) : cudaEventSynchronize(b);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    unsigned long long recording = ((struct handle *)event)->recording;
    if (!now.id || !recording || flags == cudaEventWaitExternal) return enqueue(stream);
    if (recording != now.id) return is_recorded(stream) ? refuse(cudaErrorStreamCaptureIsolation) : cudaSuccess;
    if (is_default(stream)) return refuse(cudaErrorStreamCaptureImplicit);
    ((struct handle *)stream)->recording = now.id; /* it joins */
    return enqueue(stream);
}

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode) {
    enum cudaStreamCaptureMode before = thread_mode;
    thread_mode = *mode;
    *mode = before;
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    if (is_default(stream)) return failed(cudaErrorStreamCaptureUnsupported);
    if (now.id) return failed(cudaErrorIllegalState);
    now.id = ((struct handle *)stream)->recording = ++last_id;
    now.mode = mode;
    now.origin = stream;
    now.thread = pthread_self();
    now.invalid = now.nodes = 0;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    *graph = NULL;
    if (!now.id || stream != now.origin) return failed(cudaErrorStreamCaptureUnmatched);
    if (now.mode != cudaStreamCaptureModeRelaxed && !pthread_equal(now.thread, pthread_self()))
        return failed(cudaErrorStreamCaptureWrongThread);
    now.id = 0;
    if (now.invalid) return failed(cudaErrorStreamCaptureInvalidated);
    *graph = calloc(1, sizeof now.nodes);
    *(size_t *)*graph = now.nodes;
    return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    *status = !is_recorded(stream) ? cudaStreamCaptureStatusNone
              : now.invalid        ? cudaStreamCaptureStatusInvalidated
                                   : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *status,
                                     unsigned long long *id, cudaGraph_t *graph, const cudaGraphNode_t **nodes,
                                     const cudaGraphEdgeData **edges, size_t *count) {
    if (id) *id = now.id;
    if (count) *count = 0;
    return cudaStreamIsCapturing(stream, status);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    *count = *(size_t *)graph;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *launchable, cudaGraph_t graph, unsigned long long flags) {
    return new_handle((void **)launchable);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t launchable, cudaStream_t stream) {
    return launchable ? enqueue(stream) : failed(cudaErrorInvalidValue);
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { free(graph); return cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t launchable) { free(launchable); return cudaSuccess; }

/* What a compiler makes of kernel<<<grid, block, shared, stream>>>(...). */
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream) {
    next_launch.grid = grid;
    next_launch.block = block;
    next_launch.shared = shared;
    next_launch.stream = stream;
    return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    *grid = next_launch.grid;
    *block = next_launch.block;
    *shared = next_launch.shared;
    *(cudaStream_t *)stream = next_launch.stream;
    return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                               cudaStream_t stream) {
    return enqueue(stream);
}
cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                             cudaStream_t stream) {
    return enqueue(stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel, void **arguments) {
    return enqueue(config->stream);
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t size, cudaStream_t stream) { return enqueue(stream); }

/* What memory and kernels have to do with the recording of graphs. */
#include <cuda_runtime_api.h>

cudaError_t enqueue(cudaStream_t stream); /* work for a stream: it is done, or recorded */
cudaError_t may_wait(void);               /* before what waits for the device, or changes its memory at once */
cudaError_t refuse(cudaError_t error);    /* ends the recording */
int is_recorded(cudaStream_t stream);
cudaError_t failed(cudaError_t error); /* remembers it */

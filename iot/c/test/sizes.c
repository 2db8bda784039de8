/* Print the RAM that each struct needs, for the limits that CFLAGS set. */
#include "../anc.h"

#include <stdio.h>

#define SIZE(type) printf("%-20s  %zu\n", #type, sizeof(type))

int main(void)
{
    SIZE(anc_filter);
    SIZE(anc_controller);
    SIZE(anc_monitor);
    SIZE(anc_adaptation);
    SIZE(anc_scheduler);
    SIZE(anc_recorder);
    SIZE(anc_microphones);
    SIZE(anc_statistics_work);
    SIZE(anc_summary_work);
    printf("%-20s  %zu\n", "message of kind 1", (size_t)ANC_PCM_SIZE);
    printf("%-20s  %zu\n", "message of kind 2", (size_t)ANC_PRIVATE_SIZE);
    return 0;
}

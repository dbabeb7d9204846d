// The C guest that the tests of package seal build, seal and call.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

__attribute__((import_module("wapc"), import_name("__guest_request")))
void guest_request(char *operation, char *message);
__attribute__((import_module("wapc"), import_name("__guest_response")))
void guest_response(const char *response, size_t length);

static int compare(const void *a, const void *b) { return *(const char *)a - *(const char *)b; }

__attribute__((export_name("__guest_call")))
int guest_call(size_t operation_length, size_t message_length) {
	char *operation = calloc(operation_length + 1, 1);
	char *message = calloc(message_length + 1, 1);
	char response[200] = "";
	guest_request(operation, message);
	if (strcmp(operation, "print") == 0) {
		printf("hello %s, ", message);
		printf("%d + %d = %.1f\n", 1, 2, 3.0);
		fprintf(stderr, "%s%c", "to stderr", '\n');
	} else if (strcmp(operation, "sleep") == 0) {
		struct timespec before, after, hour = {.tv_sec = 3600};
		clock_gettime(CLOCK_MONOTONIC, &before);
		int result = nanosleep(&hour, NULL);
		clock_gettime(CLOCK_MONOTONIC, &after);
		snprintf(response, sizeof response, "%d %d", result, (int)(after.tv_sec - before.tv_sec));
	} else if (strcmp(operation, "open") == 0) {
		FILE *file = fopen("/etc/passwd", "r");
		snprintf(response, sizeof response, "%d %d", file == NULL, errno != 0);
	} else if (strcmp(operation, "terminal") == 0) {
		snprintf(response, sizeof response, "%d %d %d %d", isatty(0), isatty(1), isatty(9), getchar());
	} else if (strcmp(operation, "random") == 0) {
		unsigned char random[8];
		int result = getentropy(random, sizeof random);
		snprintf(response, sizeof response, "%d %02x%02x", result, random[0], random[7]);
	} else if (strcmp(operation, "sort") == 0) { // calls through the table
		qsort(message, message_length, 1, compare);
		snprintf(response, sizeof response, "%s", message);
	} else if (strcmp(operation, "exit") == 0) {
		printf("unfinished");
		exit(7);
	}
	guest_response(response, strlen(response));
	free(operation);
	free(message);
	return 1;
}

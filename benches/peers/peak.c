/* What one core of this processor can do at most, by loops that do nothing else.
 *
 * Prints "name value" lines: multiply-adds a second in fp32 and int8 by each of its instruction sets,
 * and bytes a second of reading a block that fits no cache. Built by analysis.py.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* The best of some runs: other work on the machine only makes a run longer. */
#define RUNS 15

/* Or the sums would live in memory, and the loop would measure that. */
#define UNROLLED _Pragma("GCC unroll 12")

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((target("avx2,fma"))) static double fma256(long n) {
    __m256 a[12], b = _mm256_set1_ps(1.0f), c = _mm256_set1_ps(1e-9f);
    UNROLLED for (int i = 0; i < 12; i++) a[i] = _mm256_set1_ps((float)i);
    for (long k = 0; k < n; k++)
        UNROLLED for (int i = 0; i < 12; i++) {
            a[i] = _mm256_fmadd_ps(a[i], b, c);
            __asm__ volatile("" : "+x"(a[i]));
        }
    return 12.0 * 8 * n;
}

__attribute__((target("avx512f"))) static double fma512(long n) {
    __m512 a[12], b = _mm512_set1_ps(1.0f), c = _mm512_set1_ps(1e-9f);
    UNROLLED for (int i = 0; i < 12; i++) a[i] = _mm512_set1_ps((float)i);
    for (long k = 0; k < n; k++)
        UNROLLED for (int i = 0; i < 12; i++) {
            a[i] = _mm512_fmadd_ps(a[i], b, c);
            __asm__ volatile("" : "+v"(a[i]));
        }
    return 12.0 * 16 * n;
}

/* The widest that AVX2 has for bytes: to 16 bits, to 32 bits, and the sum. */
__attribute__((target("avx2"))) static double bytes256(long n) {
    __m256i a[10], u = _mm256_set1_epi8(3), w = _mm256_set1_epi8(-2), one = _mm256_set1_epi16(1);
    UNROLLED for (int i = 0; i < 10; i++) a[i] = _mm256_set1_epi32(i);
    for (long k = 0; k < n; k++)
        UNROLLED for (int i = 0; i < 10; i++) {
            __m256i p = _mm256_maddubs_epi16(u, w);
            __asm__ volatile("" : "+x"(p));
            a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(p, one));
            __asm__ volatile("" : "+x"(a[i]));
        }
    return 10.0 * 32 * n;
}

__attribute__((target("avx512f,avx512vnni"))) static double vnni512(long n) {
    __m512i a[12], u = _mm512_set1_epi8(3), w = _mm512_set1_epi8(-2);
    UNROLLED for (int i = 0; i < 12; i++) a[i] = _mm512_set1_epi32(i);
    for (long k = 0; k < n; k++)
        UNROLLED for (int i = 0; i < 12; i++) {
            a[i] = _mm512_dpbusd_epi32(a[i], u, w);
            __asm__ volatile("" : "+v"(a[i]));
        }
    return 12.0 * 64 * n;
}

#if __GNUC__ >= 11
struct tiles { uint8_t palette, row, reserved[14]; uint16_t columns[16]; uint8_t rows[16]; };

__attribute__((target("amx-tile,amx-int8"))) static double amx(long n) {
    static uint8_t data[1024];
    struct tiles t = {.palette = 1};
    for (int i = 0; i < 8; i++) t.columns[i] = 64, t.rows[i] = 16;
    /* GCC looks at the first eight bytes only and may leave the others unwritten. */
    __asm__ volatile("" : : "r"(&t) : "memory");
    _tile_loadconfig(&t);
    _tile_loadd(4, data, 64);
    _tile_loadd(5, data, 64);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (long k = 0; k < n; k++) {
        _tile_dpbusd(0, 4, 5);
        _tile_dpbusd(1, 4, 5);
        _tile_dpbusd(2, 4, 5);
        _tile_dpbusd(3, 4, 5);
    }
    _tile_release();
    return 4.0 * 16 * 16 * 64 * n;
}
#endif
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

static double fma128(long n) {
    float32x4_t a[12], b = vdupq_n_f32(1.0f), c = vdupq_n_f32(1e-9f);
    UNROLLED for (int i = 0; i < 12; i++) a[i] = vdupq_n_f32((float)i);
    for (long k = 0; k < n; k++)
        UNROLLED for (int i = 0; i < 12; i++) {
            a[i] = vfmaq_f32(c, a[i], b);
            __asm__ volatile("" : "+w"(a[i]));
        }
    return 12.0 * 4 * n;
}

__attribute__((target("arch=armv8.2-a+dotprod"))) static double sdot(long n) {
    int32x4_t a[12];
    int8x16_t u = vdupq_n_s8(3), w = vdupq_n_s8(-2);
    UNROLLED for (int i = 0; i < 12; i++) a[i] = vdupq_n_s32(i);
    for (long k = 0; k < n; k++)
        UNROLLED for (int i = 0; i < 12; i++) {
            a[i] = vdotq_s32(a[i], u, w);
            __asm__ volatile("" : "+w"(a[i]));
        }
    return 12.0 * 16 * n;
}
#endif

static void show(const char *name, double (*loop)(long), long n) {
    double best = 0;
    loop(n / 10);
    for (int run = 0; run < RUNS; run++) {
        double begun = now(), work = loop(n), rate = work / (now() - begun);
        if (rate > best) best = rate;
    }
    printf("%s %.4g\n", name, best);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        show("fp32-avx2", fma256, 2000000);
        show("int8-avx2", bytes256, 2000000);
    }
    if (__builtin_cpu_supports("avx512f")) show("fp32-avx512", fma512, 2000000);
    if (__builtin_cpu_supports("avx512vnni")) show("int8-vnni", vnni512, 2000000);
#if __GNUC__ >= 11
    /* The kernel gives tiles to a process that asks for them, where there are any. */
    unsigned eax = 7, ebx, ecx = 0, edx;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if ((edx >> 24 & 3) == 3 && syscall(SYS_arch_prctl, 0x1023, 18) == 0) show("int8-amx", amx, 200000);
#endif
#elif defined(__aarch64__)
    show("fp32-neon", fma128, 2000000);
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) show("int8-sdot", sdot, 2000000);
#endif
    size_t size = (size_t)256 << 20;
    uint64_t *block = malloc(size);
    if (!block) return 1;
    memset(block, 1, size);
    double best = 0;
    uint64_t sum = 0;
    for (int run = 0; run < 5; run++) {
        double begun = now();
        for (size_t i = 0; i < size / 8; i += 8)
            sum += block[i] + block[i + 1] + block[i + 2] + block[i + 3] + block[i + 4] + block[i + 5] +
                   block[i + 6] + block[i + 7];
        double rate = size / (now() - begun);
        if (rate > best) best = rate;
    }
    printf("read %.4g\n", best);
    return sum == 0;
}

;; The Internet checksum's sum over the shared arena: the SIMD twin of sumWords in checksum.ts.
;; `node pkg/packet/generate-wasm.mjs` compiles it into checksum-wasm-binary.ts.
(module
  (import "arena" "memory" (memory 1 65536 shared))

  ;; The folded sum (0 to 0xffff) of `len` bytes at `at` in little-endian words; an odd last byte counts as if a zero
  ;; followed. Each of the eight 32-bit lanes takes less than 2^18 from 64 bytes, so len may be up to 1 MB.
  (func (export "sum") (param $at i32) (param $len i32) (result i32)
    (local $end i32)
    (local $a v128)
    (local $b v128)
    (local $s i64)

    ;; 64 bytes a turn, in two accumulators so that additions need not wait for each other
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $len) (i32.const -64))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $a (i32x4.add (local.get $a) (i32x4.add
          (i32x4.extadd_pairwise_i16x8_u (v128.load align=1 (local.get $at)))
          (i32x4.extadd_pairwise_i16x8_u (v128.load offset=16 align=1 (local.get $at))))))
        (local.set $b (i32x4.add (local.get $b) (i32x4.add
          (i32x4.extadd_pairwise_i16x8_u (v128.load offset=32 align=1 (local.get $at)))
          (i32x4.extadd_pairwise_i16x8_u (v128.load offset=48 align=1 (local.get $at))))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $next)))

    ;; 16 bytes a turn: at most three
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $len) (i32.const 48))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.extadd_pairwise_i16x8_u (v128.load align=1 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))

    ;; the lanes, widened before they are added up
    (local.set $s (i64.add
      (i64.add
        (i64.add
          (i64.extend_i32_u (i32x4.extract_lane 0 (local.get $a)))
          (i64.extend_i32_u (i32x4.extract_lane 1 (local.get $a))))
        (i64.add
          (i64.extend_i32_u (i32x4.extract_lane 2 (local.get $a)))
          (i64.extend_i32_u (i32x4.extract_lane 3 (local.get $a)))))
      (i64.add
        (i64.add
          (i64.extend_i32_u (i32x4.extract_lane 0 (local.get $b)))
          (i64.extend_i32_u (i32x4.extract_lane 1 (local.get $b))))
        (i64.add
          (i64.extend_i32_u (i32x4.extract_lane 2 (local.get $b)))
          (i64.extend_i32_u (i32x4.extract_lane 3 (local.get $b)))))))

    ;; the last 8, 4, 2 and 1 bytes
    (if (i32.and (local.get $len) (i32.const 8)) (then
      (local.set $s (i64.add (local.get $s) (i64.load32_u align=1 (local.get $at))))
      (local.set $s (i64.add (local.get $s) (i64.load32_u offset=4 align=1 (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))))
    (if (i32.and (local.get $len) (i32.const 4)) (then
      (local.set $s (i64.add (local.get $s) (i64.load32_u align=1 (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))))
    (if (i32.and (local.get $len) (i32.const 2)) (then
      (local.set $s (i64.add (local.get $s) (i64.load16_u align=1 (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))))
    (if (i32.and (local.get $len) (i32.const 1)) (then
      (local.set $s (i64.add (local.get $s) (i64.load8_u (local.get $at))))))

    ;; from at most 36 bits to 21, to 17, to 16
    (local.set $s (i64.add (i64.and (local.get $s) (i64.const 0xffff)) (i64.shr_u (local.get $s) (i64.const 16))))
    (local.set $s (i64.add (i64.and (local.get $s) (i64.const 0xffff)) (i64.shr_u (local.get $s) (i64.const 16))))
    (local.set $s (i64.add (i64.and (local.get $s) (i64.const 0xffff)) (i64.shr_u (local.get $s) (i64.const 16))))
    (i32.wrap_i64 (local.get $s))))

package flux;

import java.math.BigInteger;

/**
 * What java.lang.Math leaves to the browser, where TeaVM usually runs, and no host of WASI has. The algorithms and their
 * coefficients are those of fdlibm; results are within two units in the last place.
 *
 * <p>fdlibm is Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at SunSoft, a Sun
 * Microsystems, Inc. business. Permission to use, copy, modify, and distribute this software is freely granted, provided
 * that this notice is preserved.
 */
public final class Maths {
    private static final double PI_OVER_2_LOW = 6.123233995736766e-17;
    private static final double LN2_HIGH = 6.93147180369123816490e-01;
    private static final double LN2_LOW = 1.90821492927058770002e-10;

    /** Above it, arguments of sin and cos are reduced with all the digits there are. */
    private static final double MEDIUM = 1e5;

    /** 2/π, times 2 to the power of 1216. */
    private static final String TWO_OVER_PI = ""
            + "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006492eea09d1921c"
            + "fe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c845f8bbdf9283b1ff897ffde05980f"
            + "ef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d08"
            + "56033046fc7b6bab"
            ;

    private static final double[] ARCTANS = {
        3.33333333333329318027e-01, -1.99999999998764832476e-01, 1.42857142725034663711e-01,
        -1.11111104054623557880e-01, 9.09088713343650656196e-02, -7.69187620504482999495e-02,
        6.66107313738753120669e-02, -5.83357013379057348645e-02, 4.97687799461593236017e-02,
        -3.65315727442169155270e-02, 1.62858201153657823623e-02,
    };

    private Maths() {
    }

    // Instructions of WebAssembly: see MathPlugin

    public static native double sqrt(double x);

    public static native double floor(double x);

    public static native double ceil(double x);

    public static native double rint(double x);

    public static double exp(double x) {
        if (x != x || x > 709.782712893384) {
            return x != x ? x : Double.POSITIVE_INFINITY;
        }
        if (x < -745.1332191019411) {
            return 0;
        }
        int k = (int) (x / 0.6931471805599453 + (x < 0 ? -0.5 : 0.5));
        double high = x - k * LN2_HIGH;
        double low = k * LN2_LOW;
        double r = high - low;
        double t = r * r;
        double c = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03
                + t * (6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
        double y = 1 - (low - r * c / (2 - c) - high);
        if (k > 1000) {
            return y * power(k - 1000) * power(1000);
        }
        return k < -1000 ? y * power(k + 1000) * power(-1000) : y * power(k);
    }

    public static double log(double x) {
        if (!(x > 0) || x == Double.POSITIVE_INFINITY) {
            return x == 0 ? Double.NEGATIVE_INFINITY : x < 0 ? Double.NaN : x;
        }
        int k = 0;
        if (x < Double.MIN_NORMAL) {
            x *= power(54);
            k = -54;
        }
        long bits = Double.doubleToLongBits(x);
        k += (int) (bits >> 52) - 1023;
        x = Double.longBitsToDouble(bits & 0xfffffffffffffL | 0x3ff0000000000000L);
        if (x > 1.4142135623730951) {
            x /= 2;
            k++;
        }
        double f = x - 1;
        double s = f / (2 + f);
        double z = s * s;
        double r = z * (6.666666666666735130e-01 + z * (3.999999999940941908e-01 + z * (2.857142874366239149e-01
                + z * (2.222219843214978396e-01 + z * (1.818357216161805012e-01
                + z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01))))));
        double half = 0.5 * f * f;
        return k * LN2_HIGH - (half - (s * (half + r) + k * LN2_LOW) - f);
    }

    public static double sin(double x) {
        double[] rest = new double[2];
        switch (reduced(x, rest)) {
            case 0:
                return sine(rest[0], rest[1]);
            case 1:
                return cosine(rest[0], rest[1]);
            case 2:
                return -sine(rest[0], rest[1]);
            default:
                return -cosine(rest[0], rest[1]);
        }
    }

    public static double cos(double x) {
        double[] rest = new double[2];
        switch (reduced(x, rest)) {
            case 0:
                return cosine(rest[0], rest[1]);
            case 1:
                return -sine(rest[0], rest[1]);
            case 2:
                return -cosine(rest[0], rest[1]);
            default:
                return sine(rest[0], rest[1]);
        }
    }

    public static double tan(double x) {
        double[] rest = new double[2];
        boolean odd = (reduced(x, rest) & 1) == 1;
        double sine = sine(rest[0], rest[1]);
        double cosine = cosine(rest[0], rest[1]);
        return odd ? -cosine / sine : sine / cosine;
    }

    public static double atan(double x) {
        if (x != x || x == 0) {
            return x;
        }
        double at = x < 0 ? -x : x;
        double high = 0;
        double low = 0;
        if (at > 1e17) {
            return x < 0 ? -Math.PI / 2 : Math.PI / 2;
        } else if (at >= 2.4375) {
            high = 1.57079632679489655800e+00;
            low = PI_OVER_2_LOW;
            at = -1 / at;
        } else if (at >= 1.1875) {
            high = 9.82793723247329054082e-01;
            low = 1.39033110312309984516e-17;
            at = (at - 1.5) / (1 + 1.5 * at);
        } else if (at >= 0.6875) {
            high = 7.85398163397448278999e-01;
            low = 3.06161699786838301793e-17;
            at = (at - 1) / (at + 1);
        } else if (at >= 0.4375) {
            high = 4.63647609000806093515e-01;
            low = 2.26987774529616870924e-17;
            at = (2 * at - 1) / (2 + at);
        }
        double z = at * at;
        double sum = 0;
        for (int i = ARCTANS.length - 1; i >= 0; i--) {
            sum = z * (ARCTANS[i] + sum);
        }
        double found = high - (at * sum - low - at);
        return x < 0 ? -found : found;
    }

    public static double atan2(double y, double x) {
        if (x != x || y != y) {
            return Double.NaN;
        }
        boolean below = y < 0 || 1 / y < 0;
        boolean left = x < 0 || 1 / x < 0;
        double found;
        if (y == 0) {
            found = left ? Math.PI : 0;
        } else if (x == 0 || y / x > 1e17 || y / x < -1e17) {
            found = x == y || x == -y ? (left ? 3 : 1) * Math.PI / 4 : Math.PI / 2;
        } else if (x - x != 0) {
            found = y - y != 0 ? (left ? 3 : 1) * Math.PI / 4 : left ? Math.PI : 0;
        } else {
            double near = atan((y < 0 ? -y : y) / (x < 0 ? -x : x));
            found = left ? Math.PI - (near - 2 * PI_OVER_2_LOW) : near;
        }
        return below ? -found : found;
    }

    public static double asin(double x) {
        return x == 0 ? x : atan2(x, sqrt((1 - x) * (1 + x)));
    }

    public static double acos(double x) {
        return 2 * atan2(sqrt(1 - x), sqrt(1 + x));
    }

    private static double power(int exponent) {
        return Double.longBitsToDouble((long) (exponent + 1023) << 52);
    }

    /** What is left of x when a quarter turn is taken off as often as it goes, as a sum of two; how often, modulo 4. */
    private static int reduced(double x, double[] rest) {
        double size = x < 0 ? -x : x;
        if (size <= 0.785398163397448) {
            rest[0] = x;
            return 0;
        }
        if (!(size < Double.POSITIVE_INFINITY)) {
            rest[0] = Double.NaN;
            return 0;
        }
        if (size > MEDIUM) {
            return reducedExactly(x, size, rest);
        }
        int n = (int) (size * 6.36619772367581382433e-01 + 0.5);
        // a quarter turn is these three and what follows, each product exact
        double a = size - n * 1.57079632673412561417e+00;
        double w = n * 6.07710050630396597660e-11;
        double b = a - w;
        double error = a - b - w;
        w = n * 2.02226624871116645580e-21;
        a = b - w;
        error += b - a - w;
        error -= n * 8.47842766036889956997e-32;
        rest[0] = a + error;
        rest[1] = a - rest[0] + error;
        return turned(x, n, rest);
    }

    private static int reducedExactly(double x, double size, double[] rest) {
        long bits = Double.doubleToLongBits(size);
        BigInteger digits = BigInteger.valueOf(bits & 0xfffffffffffffL | 0x10000000000000L);
        int behind = 1216 - ((int) (bits >> 52) - 1075);
        BigInteger turns = digits.multiply(new BigInteger(TWO_OVER_PI, 16)).shiftRight(behind - 192);
        int n = turns.shiftRight(192).intValue();
        BigInteger part = turns.subtract(turns.shiftRight(192).shiftLeft(192));
        if (part.testBit(191)) {
            n++;
            part = part.subtract(BigInteger.ONE.shiftLeft(192));
        }
        // times π/2, in fixed point: what is left of 1216 digits of 2/π has its inverse to 192
        BigInteger quarter = BigInteger.ONE.shiftLeft(1216 + 192).divide(new BigInteger(TWO_OVER_PI, 16));
        part = part.multiply(quarter).shiftRight(192);
        boolean negative = part.signum() < 0;
        part = part.abs();
        int drop = part.bitLength() - 53;
        long top = part.shiftRight(drop).longValue();
        long next = part.subtract(BigInteger.valueOf(top).shiftLeft(drop)).shiftRight(drop - 53).longValue();
        double unit = power(drop - 192);
        rest[0] = (negative ? -top : top) * unit;
        rest[1] = (negative ? -next : next) * (unit * power(-53));
        return turned(x, n, rest);
    }

    private static int turned(double x, int n, double[] rest) {
        if (x < 0) {
            rest[0] = -rest[0];
            rest[1] = -rest[1];
            n = -n;
        }
        return n & 3;
    }

    private static double sine(double x, double y) {
        double z = x * x;
        double r = 8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * (2.75573137070700676789e-06
                + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)));
        double cube = z * x;
        return x - (z * (0.5 * y - cube * r) - y - cube * -1.66666666666666324348e-01);
    }

    private static double cosine(double x, double y) {
        double z = x * x;
        double r = z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 + z * (2.48015872894767294178e-05
                + z * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)))));
        double half = 0.5 * z;
        double near = 1 - half;
        return near + (1 - near - half + (z * r - x * y));
    }
}

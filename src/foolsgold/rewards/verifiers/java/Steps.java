import java.lang.reflect.Array;

/** What a method has left; one method runs at a time. */
public class Steps {
    static long left;
    static boolean out;

    static class Spent extends Error {
        Spent() {
            super(null, null, false, false);
        }
    }

    public static void take() {
        if (--left < 0) spent();
    }

    /** A call costs more, as it does in Python; so recursion without end is out of steps before the stack is full. */
    public static void takeCall() {
        if ((left -= 10) < 0) spent();
    }

    public static void take(String made) {
        if (made != null && (left -= made.length() >> 3) < 0) spent();
    }

    public static int take(int elements) {
        if (elements > 0 && (left -= elements >> 3) < 0) spent();
        return elements;
    }

    public static void take(int rows, int columns) {
        take(rows);
        if (rows > 0 && columns > 0 && (left -= ((long) rows * columns) >> 3) < 0) spent();
    }

    /** A new array of three dimensions. */
    public static Object take(int x, int y, int z, Class<?> type) {
        take(x, y);
        if (x > 0 && y > 0 && z > 0 && (left -= (long) x * y * z >> 3) < 0) spent();
        return Array.newInstance(type.getComponentType().getComponentType().getComponentType(), x, y, z);
    }

    static void spent() {
        out = true; // a method that catches the error and goes on gets no further, and is known by this
        throw new Spent();
    }
}

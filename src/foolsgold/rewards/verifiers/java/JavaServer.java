import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import javax.tools.StandardJavaFileManager;

/**
 * Compiles Java from memory and runs its methods, for java_server.py, which describes the frames on both pipes.
 *
 * <p>What it runs is counted: each jump back costs a step, as does each eighth element of a new array and each eighth
 * letter of a new string; each call costs ten. So an endless loop ends after the same steps on every machine. Processor
 * time is limited too, for what no step sees (a library call that never returns), and ten times as much by the clock; a
 * process that hit that limit halts, since Java threads cannot be killed.
 */
public class JavaServer {
    static final long STACK_BYTES = 16L << 20;
    static final ThreadMXBean TIMES = ManagementFactory.getThreadMXBean();

    public static void main(String[] arguments) throws Exception {
        DataInputStream in = new DataInputStream(new FileInputStream(FileDescriptor.in));
        OutputStream out = new FileOutputStream(FileDescriptor.out);
        System.setIn(InputStream.nullInputStream());
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));
        StandardJavaFileManager files = Units.COMPILER.getStandardFileManager(null, null, null);
        send(out, "ready".getBytes(StandardCharsets.US_ASCII));
        while (true) {
            byte[] frame;
            try {
                frame = in.readNBytes(in.readInt());
            } catch (EOFException closed) {
                return;
            }
            DataInputStream request = new DataInputStream(new ByteArrayInputStream(frame));
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            DataOutputStream reply = new DataOutputStream(bytes);
            if (request.readByte() == 'C') {
                Units.compile(request, reply, files);
                send(out, bytes.toByteArray());
            } else if (run(request, reply)) {
                send(out, bytes.toByteArray());
            } else {
                send(out, bytes.toByteArray());
                Runtime.getRuntime().halt(0);
            }
        }
    }

    static void send(OutputStream out, byte[] frame) throws IOException {
        byte[] framed = new byte[frame.length + 4];
        for (int i = 0; i < 4; i++) framed[i] = (byte) (frame.length >>> (24 - 8 * i));
        System.arraycopy(frame, 0, framed, 4, frame.length);
        out.write(framed);
    }

    /** Runs one method, loaded anew, on its inputs in order; false when it is stuck and the process must halt. */
    static boolean run(DataInputStream request, DataOutputStream reply) throws Exception {
        Unit unit = Units.UNITS.get(Values.string(request));
        unit.load();
        Method method = unit.methods.get(request.readInt());
        long steps = request.readLong();
        long milliseconds = request.readLong();
        int inputs = request.readInt();
        Type[] types = method.getGenericParameterTypes();
        Call[] calls = new Call[inputs];
        for (int i = 0; i < inputs; i++) {
            Object[] values = new Object[types.length];
            for (int j = 0; j < types.length; j++) values[j] = Values.read(request, types[j]);
            calls[i] = new Call(method, values, steps);
        }
        Runner runner = new Runner(calls);
        runner.setDaemon(true);
        runner.start();
        while (runner.isAlive()) {
            runner.join(milliseconds / 10 + 1);
            if (runner.isAlive() && runner.spent() > milliseconds * 1_000_000) break;
        }
        int ended = runner.isAlive() ? runner.ended : inputs;
        for (int i = 0; i < ended; i++) calls[i].report(reply);
        if (ended == inputs) return true;
        drop(reply, "time");
        return false;
    }

    static class Runner extends Thread {
        final Call[] calls;
        volatile int ended;
        volatile long began = System.nanoTime();
        volatile long cpuBegan;

        Runner(Call[] calls) {
            super(null, null, "calls", STACK_BYTES);
            this.calls = calls;
        }

        /** Nanoseconds of processor time that the call has taken, or a tenth of those by the clock. */
        long spent() {
            return Math.max(TIMES.getThreadCpuTime(getId()) - cpuBegan, (System.nanoTime() - began) / 10);
        }

        @Override
        public void run() {
            for (Call call : calls) {
                cpuBegan = TIMES.getCurrentThreadCpuTime();
                began = System.nanoTime();
                call.run();
                ended++;
            }
        }
    }

    static class Call {
        final Method method;
        final Object[] values;
        final long steps;
        boolean out;
        Object returned;
        Throwable thrown;

        Call(Method method, Object[] values, long steps) {
            this.method = method;
            this.values = values;
            this.steps = steps;
        }

        void run() {
            Steps.left = steps;
            Steps.out = false;
            try {
                Object self = null;
                if (!Modifier.isStatic(method.getModifiers())) {
                    Constructor<?> constructor = method.getDeclaringClass().getDeclaredConstructor();
                    constructor.setAccessible(true);
                    self = constructor.newInstance();
                }
                returned = method.invoke(self, values);
            } catch (InvocationTargetException error) {
                thrown = error.getCause();
            } catch (Throwable error) {
                thrown = error;
            }
            if (thrown instanceof ExceptionInInitializerError && thrown.getCause() != null) thrown = thrown.getCause();
            out = Steps.out;
        }

        void report(DataOutputStream reply) throws IOException {
            if (out) {
                drop(reply, "steps");
            } else if (thrown instanceof OutOfMemoryError) {
                drop(reply, "memory");
            } else if (thrown instanceof StackOverflowError) {
                drop(reply, "stack");
            } else if (thrown != null) {
                reply.writeByte('x');
                Values.write(reply, thrown.getClass().getName());
                Values.write(reply, String.valueOf(thrown.getMessage()));
            } else {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                DataOutputStream value = new DataOutputStream(bytes);
                try {
                    Values.Writer writer = new Values.Writer(value);
                    writer.write(returned, 0);
                    for (Object each : values) writer.write(each, 0);
                } catch (Values.Unwritable error) {
                    drop(reply, error.getMessage());
                    return;
                }
                reply.writeByte('v');
                reply.write(bytes.toByteArray());
            }
        }
    }

    static void drop(DataOutputStream reply, String reason) throws IOException {
        reply.writeByte('d');
        Values.write(reply, reason);
    }
}

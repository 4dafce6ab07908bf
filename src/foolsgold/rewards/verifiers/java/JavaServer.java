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
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigInteger;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import jdk.internal.org.objectweb.asm.ClassReader;
import jdk.internal.org.objectweb.asm.ClassVisitor;
import jdk.internal.org.objectweb.asm.ClassWriter;
import jdk.internal.org.objectweb.asm.Handle;
import jdk.internal.org.objectweb.asm.Label;
import jdk.internal.org.objectweb.asm.MethodVisitor;
import jdk.internal.org.objectweb.asm.Opcodes;

/**
 * Compiles Java from memory and runs its methods, for java_server.py, which describes the frames on both pipes.
 *
 * <p>What it runs is counted: each jump back costs a step, as does each eighth element of a new array and each eighth
 * letter of a new string; each call costs ten. So an endless loop ends after the same steps on every machine. Time is limited too, for what no step sees
 * (a library call that never returns); a process that hit that limit halts, since Java threads cannot be killed.
 */
public class JavaServer {
    static final JavaCompiler COMPILER = ToolProvider.getSystemJavaCompiler();
    static final long STACK_BYTES = 16L << 20;
    static final int MOST_ELEMENTS = 100_000;
    static final Map<String, Unit> UNITS = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        DataInputStream in = new DataInputStream(new FileInputStream(FileDescriptor.in));
        OutputStream out = new FileOutputStream(FileDescriptor.out);
        System.setIn(InputStream.nullInputStream());
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));
        StandardJavaFileManager files = COMPILER.getStandardFileManager(null, null, null);
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
                compile(request, reply, files);
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

    // ---- Compiling

    /** One problem: a package of its own, its classes as bytes, and its methods of the name asked for. */
    static class Unit {
        final String name, source, entry;
        final Map<String, ByteArrayOutputStream> classes = new LinkedHashMap<>();
        List<Method> methods;
        String error;

        Unit(String name, String source, String entry) {
            this.name = name;
            this.source = source;
            this.entry = entry;
        }

        void load() throws ClassNotFoundException {
            ClassLoader loader = new Counted(this);
            methods = new ArrayList<>();
            for (String each : classes.keySet())
                for (Method method : Class.forName(each, false, loader).getDeclaredMethods())
                    if (method.getName().equals(entry) && !method.isSynthetic()) methods.add(method);
            methods.sort(Comparator.comparing((Method m) -> m.getDeclaringClass().getName().length())
                    .thenComparing(Method::toGenericString));
            for (Method method : methods) method.setAccessible(true);
        }

        /** Whether a call may leave something behind for the next one. */
        boolean remembers() throws ClassNotFoundException {
            ClassLoader loader = methods.get(0).getDeclaringClass().getClassLoader();
            for (String each : classes.keySet())
                for (Field field : Class.forName(each, false, loader).getDeclaredFields()) {
                    boolean constant = Modifier.isFinal(field.getModifiers())
                            && (field.getType().isPrimitive() || field.getType() == String.class);
                    if (Modifier.isStatic(field.getModifiers()) && !field.isSynthetic() && !constant) return true;
                }
            return false;
        }
    }

    static void compile(DataInputStream request, DataOutputStream reply, StandardJavaFileManager files)
            throws IOException {
        UNITS.clear();
        List<Unit> units = new ArrayList<>();
        for (int n = request.readInt(); n > 0; n--)
            units.add(new Unit(string(request), string(request), string(request)));
        List<Unit> rest = new ArrayList<>(units);
        // One broken unit keeps the compiler from writing any: the sound ones are compiled again without it.
        while (!rest.isEmpty() && !compiled(rest, files)) {
            int before = rest.size();
            rest.removeIf(unit -> unit.error != null);
            if (rest.size() == before)
                for (Unit unit : rest) unit.error = "the compiler failed without a message";
        }
        reply.writeInt(units.size());
        for (Unit unit : units) {
            boolean remembers = false;
            if (unit.error == null) {
                try {
                    unit.load();
                    remembers = !unit.methods.isEmpty() && unit.remembers();
                } catch (ClassNotFoundException | LinkageError error) {
                    unit.error = error.toString();
                }
            }
            write(reply, unit.error == null ? "" : unit.error);
            if (unit.error != null) continue;
            UNITS.put(unit.name, unit);
            reply.writeBoolean(remembers);
            reply.writeInt(unit.methods.size());
            for (Method method : unit.methods) {
                write(reply, method.getGenericReturnType().getTypeName());
                reply.writeInt(method.getParameterCount());
                for (Parameter parameter : method.getParameters()) {
                    write(reply, bounded(parameter.getParameterizedType()).getTypeName());
                    write(reply, parameter.getName());
                }
            }
        }
    }

    static boolean compiled(List<Unit> units, StandardJavaFileManager files) {
        Map<String, Unit> byPackage = new HashMap<>();
        List<JavaFileObject> sources = new ArrayList<>();
        for (Unit unit : units) {
            byPackage.put(unit.name, unit);
            unit.classes.clear();
            sources.add(new Source(unit));
        }
        DiagnosticCollector<JavaFileObject> diagnostics = new DiagnosticCollector<>();
        List<String> options = List.of("-proc:none", "-parameters", "-g:none", "-nowarn", "-Xlint:none");
        boolean done = COMPILER.getTask(null, new Memory(files, byPackage), diagnostics, options, null, sources).call();
        for (Diagnostic<? extends JavaFileObject> each : diagnostics.getDiagnostics()) {
            if (each.getKind() != Diagnostic.Kind.ERROR || !(each.getSource() instanceof Source)) continue;
            Unit unit = ((Source) each.getSource()).unit;
            if (unit.error == null) unit.error = "line " + each.getLineNumber() + ": " + each.getMessage(null);
        }
        return done;
    }

    static class Source extends SimpleJavaFileObject {
        final Unit unit;

        Source(Unit unit) {
            super(URI.create("memory:///" + unit.name + "/Source.java"), Kind.SOURCE);
            this.unit = unit;
        }

        @Override
        public CharSequence getCharContent(boolean ignore) {
            return unit.source;
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return true; // a public class need not be in a file of its name
        }
    }

    static class Memory extends ForwardingJavaFileManager<StandardJavaFileManager> {
        final Map<String, Unit> units;

        Memory(StandardJavaFileManager files, Map<String, Unit> units) {
            super(files);
            this.units = units;
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                JavaFileManager.Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            units.get(name.substring(0, name.indexOf('.'))).classes.put(name, bytes);
            return new SimpleJavaFileObject(URI.create("memory:///" + name.replace('.', '/') + ".class"), kind) {
                @Override
                public OutputStream openOutputStream() {
                    return bytes;
                }
            };
        }
    }

    // ---- Counting steps

    /** What a method has left; one method runs at a time. */
    public static class Steps {
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

    static class Counted extends ClassLoader {
        final Unit unit;

        Counted(Unit unit) {
            super(JavaServer.class.getClassLoader());
            this.unit = unit;
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            ByteArrayOutputStream bytes = unit.classes.get(name);
            if (bytes == null) throw new ClassNotFoundException(name);
            ClassWriter writer = new ClassWriter(ClassWriter.COMPUTE_MAXS);
            new ClassReader(bytes.toByteArray()).accept(new Counter(writer), 0);
            byte[] counted = writer.toByteArray();
            return defineClass(name, counted, 0, counted.length);
        }
    }

    static class Counter extends ClassVisitor {
        static final String STEPS = "JavaServer$Steps";

        Counter(ClassVisitor next) {
            super(Opcodes.ASM8, next);
        }

        @Override
        public MethodVisitor visitMethod(
                int access, String name, String descriptor, String signature, String[] exceptions) {
            MethodVisitor next = super.visitMethod(access, name, descriptor, signature, exceptions);
            return new MethodVisitor(Opcodes.ASM8, next) {
                final Set<Label> seen = new HashSet<>();

                void take(String descriptor) {
                    super.visitMethodInsn(Opcodes.INVOKESTATIC, STEPS, "take", descriptor, false);
                }

                @Override
                public void visitCode() {
                    super.visitCode();
                    super.visitMethodInsn(Opcodes.INVOKESTATIC, STEPS, "takeCall", "()V", false);
                }

                @Override
                public void visitMethodInsn(int opcode, String owner, String name, String type, boolean isInterface) {
                    super.visitMethodInsn(opcode, owner, name, type, isInterface);
                    takeText(type);
                }

                @Override
                public void visitInvokeDynamicInsn(String name, String type, Handle bootstrap, Object... arguments) {
                    super.visitInvokeDynamicInsn(name, type, bootstrap, arguments);
                    takeText(type); // javac joins strings so
                }

                void takeText(String type) {
                    if (!type.endsWith(")Ljava/lang/String;")) return;
                    super.visitInsn(Opcodes.DUP);
                    take("(Ljava/lang/String;)V");
                }

                @Override
                public void visitLabel(Label label) {
                    seen.add(label);
                    super.visitLabel(label);
                }

                @Override
                public void visitJumpInsn(int opcode, Label label) {
                    if (seen.contains(label)) take("()V");
                    super.visitJumpInsn(opcode, label);
                }

                @Override
                public void visitIntInsn(int opcode, int operand) {
                    if (opcode == Opcodes.NEWARRAY) take("(I)I");
                    super.visitIntInsn(opcode, operand);
                }

                @Override
                public void visitTypeInsn(int opcode, String type) {
                    if (opcode == Opcodes.ANEWARRAY) take("(I)I");
                    super.visitTypeInsn(opcode, type);
                }

                @Override
                public void visitMultiANewArrayInsn(String type, int dimensions) {
                    if (dimensions == 3) {
                        super.visitLdcInsn(jdk.internal.org.objectweb.asm.Type.getObjectType(type));
                        take("(IIILjava/lang/Class;)Ljava/lang/Object;");
                        super.visitTypeInsn(Opcodes.CHECKCAST, type);
                        return;
                    }
                    super.visitInsn(Opcodes.DUP2);
                    take("(II)V");
                    super.visitMultiANewArrayInsn(type, dimensions);
                }
            };
        }
    }

    // ---- Running

    /** Runs one method, loaded anew, on its inputs in order; false when it is stuck and the process must halt. */
    static boolean run(DataInputStream request, DataOutputStream reply) throws Exception {
        Unit unit = UNITS.get(string(request));
        unit.load();
        Method method = unit.methods.get(request.readInt());
        long steps = request.readLong();
        long milliseconds = request.readLong();
        int inputs = request.readInt();
        Type[] types = method.getGenericParameterTypes();
        Call[] calls = new Call[inputs];
        for (int i = 0; i < inputs; i++) {
            Object[] values = new Object[types.length];
            for (int j = 0; j < types.length; j++) values[j] = read(request, types[j]);
            calls[i] = new Call(method, values, steps);
        }
        Runner runner = new Runner(calls);
        runner.setDaemon(true);
        runner.start();
        while (runner.isAlive()) {
            runner.join(milliseconds);
            if (runner.isAlive() && System.nanoTime() - runner.began > milliseconds * 1_000_000) break;
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

        Runner(Call[] calls) {
            super(null, null, "calls", STACK_BYTES);
            this.calls = calls;
        }

        @Override
        public void run() {
            for (Call call : calls) {
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
                write(reply, thrown.getClass().getName());
                write(reply, String.valueOf(thrown.getMessage()));
            } else {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                DataOutputStream value = new DataOutputStream(bytes);
                try {
                    Writer writer = new Writer(value);
                    writer.write(returned, 0);
                    for (Object each : values) writer.write(each, 0);
                } catch (Unwritable error) {
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
        write(reply, reason);
    }

    // ---- Values

    static String string(DataInputStream in) throws IOException {
        return new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_16BE);
    }

    static void write(DataOutputStream out, String text) throws IOException {
        out.writeInt(2 * text.length());
        out.writeChars(text); // and not getBytes, which replaces half characters
    }

    /** The type itself, or what a type variable or wildcard is bounded by. */
    static Type bounded(Type type) {
        if (type instanceof TypeVariable) return bounded(((TypeVariable<?>) type).getBounds()[0]);
        if (type instanceof WildcardType) return bounded(((WildcardType) type).getUpperBounds()[0]);
        if (type instanceof GenericArrayType)
            return Array.newInstance(raw(((GenericArrayType) type).getGenericComponentType()), 0).getClass();
        return type;
    }

    static Class<?> raw(Type type) {
        Type bound = bounded(type);
        return bound instanceof ParameterizedType
                ? (Class<?>) ((ParameterizedType) bound).getRawType()
                : (Class<?>) bound;
    }

    static Type argument(Type type, int index) {
        return type instanceof ParameterizedType
                ? ((ParameterizedType) type).getActualTypeArguments()[index]
                : Object.class;
    }

    static Object read(DataInputStream in, Type type) throws Exception {
        byte tag = in.readByte();
        switch (tag) {
            case 'N': return null;
            case 'Z': return in.readBoolean();
            case 'B': return in.readByte();
            case 'S': return in.readShort();
            case 'C': return in.readChar();
            case 'I': return in.readInt();
            case 'J': return in.readLong();
            case 'F': return in.readFloat();
            case 'D': return in.readDouble();
            case 'G': return new BigInteger(string(in));
            case 'T':
                String text = string(in);
                return raw(type) == StringBuilder.class
                        ? new StringBuilder(text)
                        : raw(type) == StringBuffer.class ? new StringBuffer(text) : text;
            case 'L': return sequence(in, type);
            case 'M': return map(in, type);
            default: throw new IOException("tag " + tag);
        }
    }

    static Object sequence(DataInputStream in, Type type) throws Exception {
        int size = in.readInt();
        Class<?> raw = raw(type);
        if (raw.isArray()) {
            Type element = type instanceof GenericArrayType
                    ? ((GenericArrayType) type).getGenericComponentType()
                    : raw.getComponentType();
            Object array = Array.newInstance(raw.getComponentType(), size);
            for (int i = 0; i < size; i++) Array.set(array, i, read(in, element));
            return array;
        }
        @SuppressWarnings("unchecked")
        Collection<Object> all = (Collection<Object>) made(raw, List.of(
                ArrayList.class, ArrayDeque.class, LinkedHashSet.class, TreeSet.class));
        for (int i = 0; i < size; i++) all.add(read(in, argument(type, 0)));
        return all;
    }

    static Object map(DataInputStream in, Type type) throws Exception {
        @SuppressWarnings("unchecked")
        Map<Object, Object> all =
                (Map<Object, Object>) made(raw(type), List.of(LinkedHashMap.class, TreeMap.class));
        for (int n = in.readInt(); n > 0; n--) all.put(read(in, argument(type, 0)), read(in, argument(type, 1)));
        return all;
    }

    /** An empty collection of the class, or the first choice that implements the interface. */
    static Object made(Class<?> raw, List<Class<?>> choices) throws Exception {
        if (!raw.isInterface() && !Modifier.isAbstract(raw.getModifiers()) && raw != Object.class)
            return raw.getConstructor().newInstance();
        for (Class<?> choice : choices) if (raw.isAssignableFrom(choice)) return choice.getConstructor().newInstance();
        throw new IOException("no collection for " + raw);
    }

    static class Unwritable extends IOException {
        Unwritable(String message) {
            super(message);
        }
    }

    static class Writer {
        final DataOutputStream out;
        int elements;

        Writer(DataOutputStream out) {
            this.out = out;
        }

        void write(Object value, int depth) throws IOException {
            if (++elements > MOST_ELEMENTS || depth > 32) throw new Unwritable("output");
            if (value == null) {
                out.writeByte('N');
            } else if (value instanceof Boolean) {
                out.writeByte('Z');
                out.writeBoolean((Boolean) value);
            } else if (value instanceof Character) {
                text("" + value);
            } else if (value instanceof Float || value instanceof Double) {
                out.writeByte('D');
                out.writeDouble(((Number) value).doubleValue());
            } else if (value instanceof BigInteger) {
                out.writeByte('G');
                JavaServer.write(out, value.toString());
            } else if (value instanceof Byte || value instanceof Short || value instanceof Integer
                    || value instanceof Long) {
                out.writeByte('J');
                out.writeLong(((Number) value).longValue());
            } else if (value instanceof CharSequence) {
                text(value.toString());
            } else if (value.getClass().isArray()) {
                start('L', Array.getLength(value));
                for (int i = 0; i < Array.getLength(value); i++) write(Array.get(value, i), depth + 1);
            } else if (value instanceof Collection) {
                Collection<?> all = (Collection<?>) value;
                start(value instanceof Set ? 'H' : 'L', all.size());
                for (Object each : all) write(each, depth + 1);
            } else if (value instanceof Map) {
                Map<?, ?> all = (Map<?, ?>) value;
                start('M', all.size());
                for (Map.Entry<?, ?> each : all.entrySet()) {
                    write(each.getKey(), depth + 1);
                    write(each.getValue(), depth + 1);
                }
            } else {
                throw new Unwritable("class " + value.getClass().getName());
            }
        }

        void start(char tag, int size) throws IOException {
            out.writeByte(tag);
            out.writeInt(size);
        }

        void text(String text) throws IOException {
            elements += text.length();
            if (elements > MOST_ELEMENTS) throw new Unwritable("output");
            out.writeByte('T');
            JavaServer.write(out, text);
        }
    }
}
